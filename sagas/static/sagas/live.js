// Keeps the living regions of a page current: asks the server for the parts that change, less and
// less often while they do not, not at all while nobody looks, and no more once all is final.
const longest = 20000;

function live(region) {
  const shortest = Number(region.dataset.every ?? 1000);
  const [said, told] = [document.createElement("p"), document.createElement("p")];
  said.className = "visually-hidden";
  said.setAttribute("aria-live", "polite"); // stays in place, so that changes are read out
  [told.className, told.hidden] = ["live-stopped", true];
  region.before(said, told);
  let [etag, pause, timer, failures] = [region.dataset.etag, shortest, 0, 0];
  let over = "final" in region.dataset;

  async function refresh() {
    try {
      const headers = { "If-None-Match": etag };
      const answer = await fetch(region.dataset.live, { headers, cache: "no-store" });
      const gone = answer.redirected || [403, 404].includes(answer.status);
      if (!gone && ![200, 304].includes(answer.status)) throw new Error(answer.statusText);
      [failures, told.hidden] = [0, true];
      if (gone) stop();
      else if (answer.status === 200) show(await answer.text(), answer.headers.get("ETag"));
      pause = answer.status === 200 ? shortest : pause * 1.5;
    } catch {
      pause *= 2;
      if (++failures === 2) tell("The server does not answer: this is how it stood. It is asked again.");
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
    const boxes = [...old.querySelectorAll("[tabindex]")];
    const [scrolled, left] = [boxes.map(place), boxes.map((box) => aimed.has(box) && !moved(box))];
    old.replaceWith(part);
    part.querySelectorAll("details").forEach((details, n) => (details.open = opened[n] ?? details.open));
    part.querySelectorAll("[tabindex]").forEach((box, n) => {
      box.scrollTo(...(scrolled[n] ?? [0, 0]));
      if (left[n]) aim(box);
    });
    if (held) refocus(part, held);
    if (news(part) !== news(old)) said.textContent = news(part);
  }

  function stop() {
    over = true;
    tell("This page is no longer kept current: perhaps you were logged out. Load it again.");
  }

  function tell(what) {
    told.hidden = false;
    told.textContent = said.textContent = what;
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
  region.querySelectorAll("[tabindex]").forEach(aim);
  schedule();
}

// A box opens at what matters in it, and follows that until somebody scrolls.
const aimed = new WeakMap();
const place = (box) => [box.scrollLeft, box.scrollTop];
const moved = (box) => place(box).some((at, n) => Math.abs(at - aimed.get(box)[n]) > 1);

function aim(box) {
  const target = box.querySelector("[data-aim]");
  if (!target || box.querySelector(":target")) return;
  const [outer, inner] = [box.getBoundingClientRect(), target.getBoundingClientRect()];
  box.scrollTop += inner.top - outer.top - (box.clientHeight - inner.height) / 2;
  if (inner.right > outer.right || inner.left < outer.left) box.scrollLeft += inner.left - outer.left - 12;
  aimed.set(box, place(box));
}

// To what had the focus; else to its like, such as a link whose count has changed; else near it.
function refocus(part, held) {
  const others = [...part.querySelectorAll(held.tagName)];
  const found = others.find((other) => alike(other, held)) ?? others.find((other) => other.href && other.href === held.href);
  if (!found) part.tabIndex = -1;
  (found ?? part).focus({ preventScroll: true });
}

// What is read out when it changes: not the ages and counts around it.
const news = (part) => [...part.querySelectorAll("[data-announce]")].map(plain).join(". ").slice(0, 200);
const plain = (element) => element.textContent.replace(/\s+/g, " ").trim();

// What a person has opened is no difference.
const same = (old, part) => bare(old) === bare(part);
const bare = (part) => part.outerHTML.replace(/<details([^>]*?) open=""/g, "<details$1");
const alike = (other, held) =>
  held.id ? other.id === held.id : other.href === held.href && other.textContent === held.textContent;

document.querySelectorAll("[data-live]").forEach(live);
