// Asks for this page again and again, and puts in place only the parts that have changed.
"use strict";
(() => {
  const PERIOD_MS = 2000, LIMIT_MS = 8000;
  let seen = new Date();

  const replaceParts = (fresh) => {
    const old = [...document.querySelectorAll("[data-part]")];
    const parts = [...fresh.querySelectorAll("[data-part]")];
    const names = (each) => each.map((part) => part.dataset.part).join();
    if (names(old) !== names(parts)) {
      document.querySelector("main").replaceWith(fresh.querySelector("main"));
    } else {
      parts.forEach((part, at) => {
        if (part.innerHTML !== old[at].innerHTML) keepOpen(old[at], part);
      });
    }
    document.title = fresh.title;
  };

  const keepOpen = (old, part) => {
    const was = [...old.querySelectorAll("details")].map((each) => each.open);
    const html = part.innerHTML;
    if (old.dataset.html === html) return;
    old.innerHTML = html;
    old.dataset.html = html;
    old.querySelectorAll("details").forEach((each, at) => { if (at in was) each.open = was[at]; });
  };

  const look = async () => {
    let isAnswered = false;
    try {
      const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(LIMIT_MS) });
      isAnswered = answer.ok || answer.status === 503;
      if (isAnswered) {
        replaceParts(new DOMParser().parseFromString(await answer.text(), "text/html"));
        seen = new Date();
      }
    } catch { isAnswered = false; }
    document.getElementById("lost").hidden = isAnswered;
    document.getElementById("lost-since").textContent = seen.toLocaleTimeString();
  };

  const turn = () => {
    const next = () => setTimeout(turn, PERIOD_MS);
    if (document.hidden) next(); else look().finally(next);
  };
  setTimeout(turn, PERIOD_MS);
})();
