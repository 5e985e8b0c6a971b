// Keeps an order's progress current: asks the server for the part that changes, less and less
// often while it does not, not at all while nobody looks, and no more once the order is over.
const region = document.getElementById("progress");
const shortest = 1000;
const longest = 15000;
let etag = region.dataset.etag;
let pause = shortest;
let timer = 0;
let over = false;

async function refresh() {
  try {
    const headers = { "If-None-Match": etag };
    const answer = await fetch(region.dataset.url, { headers, cache: "no-store" });
    pause = answer.status === 200 ? shortest : pause * 1.5;
    if (answer.status === 200) show(await answer.text(), answer.headers.get("ETag"));
  } catch {
    pause *= 2;
  }
  schedule();
}

function show(html, tag) {
  const fresh = new DOMParser().parseFromString(html, "text/html");
  tellLocalTime(fresh);
  // Part by part, so that only what changed is read out, and nothing loses the focus.
  for (const part of fresh.querySelectorAll("[data-part]")) {
    const shown = region.querySelector(`[data-part="${part.dataset.part}"]`);
    if (shown.outerHTML !== part.outerHTML) shown.replaceWith(part);
  }
  document.title = document.title.replace(/^[^·]*/, `${region.querySelector("h1").textContent} `);
  over = region.querySelector("[data-final]") !== null;
  etag = tag;
}

function tellLocalTime(root) {
  for (const time of root.querySelectorAll(".note time")) {
    time.textContent = new Date(time.dateTime).toLocaleTimeString();
  }
}

function schedule() {
  clearTimeout(timer);
  pause = Math.min(pause, longest);
  if (!over && !document.hidden) timer = setTimeout(refresh, pause);
}

document.addEventListener("visibilitychange", () => {
  pause = shortest;
  schedule();
});
tellLocalTime(region);
schedule();
