// Keeps the living regions of a page current: asks the server for the parts that change, less and
// less often while they do not, not at all while nobody looks, and no more once all is final.
const [shortest, longest] = [1000, 20000];

function live(region) {
  const said = document.createElement("p"); // stays in place, so that changes are read out
  said.className = "visually-hidden";
  said.setAttribute("aria-live", "polite");
  region.before(said);
  let [etag, pause, timer, over] = [region.dataset.etag, shortest, 0, "final" in region.dataset];

  async function refresh() {
    try {
      const headers = { "If-None-Match": etag };
      const answer = await fetch(region.dataset.live, { headers, cache: "no-store" });
      pause = answer.status === 200 ? shortest : pause * 1.5;
      if (answer.redirected || answer.status === 403 || answer.status === 404) stop();
      else if (answer.status === 200) show(await answer.text(), answer.headers.get("ETag"));
    } catch {
      pause *= 2;
    }
    schedule();
  }

  function show(html, tag) {
    const fresh = new DOMParser().parseFromString(html, "text/html").querySelector("[data-live]");
    for (const part of fresh.querySelectorAll("[data-part]")) {
      const old = region.querySelector(`[data-part="${part.dataset.part}"]`);
      if (old && !same(old, part)) swap(old, part);
    }
    [etag, over] = [tag, "final" in fresh.dataset];
  }

  function swap(old, part) {
    const held = old.contains(document.activeElement) ? document.activeElement : null;
    const opened = [...old.querySelectorAll("details")].map((details) => details.open);
    const scrolled = [...old.querySelectorAll("[tabindex]")].map((box) => [box.scrollLeft, box.scrollTop]);
    old.replaceWith(part);
    part.querySelectorAll("details").forEach((details, n) => (details.open = opened[n] ?? details.open));
    part.querySelectorAll("[tabindex]").forEach((box, n) => box.scrollTo(...(scrolled[n] ?? [0, 0])));
    if (held) [...part.querySelectorAll(held.tagName)].find((other) => alike(other, held))?.focus();
    if ("announce" in part.dataset) said.textContent = part.textContent.replace(/\s+/g, " ").slice(0, 200);
  }

  function stop() {
    over = true;
    said.textContent = "This page is no longer kept current. Load it again.";
    said.className = "live-stopped";
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
  schedule();
}

// What a person has opened is no difference.
const same = (old, part) => bare(old) === bare(part);
const bare = (part) => part.outerHTML.replace(/<details([^>]*?) open=""/g, "<details$1");
const alike = (other, held) =>
  held.id ? other.id === held.id : other.href === held.href && other.textContent === held.textContent;

document.querySelectorAll("[data-live]").forEach(live);
