// Fetches this page periodically and replaces only the parts that have changed.
"use strict";
(() => {
  const PERIOD_MS = 2000, LIMIT_MS = 8000;
  const shown = new Map();  // the HTML of each part as it came, by its name
  let seen = new Date();

  const partsOf = (page) => [...page.querySelectorAll("[data-part]")];
  const namesOf = (parts) => parts.map((part) => part.dataset.part).join();
  const remember = () => partsOf(document).forEach((part) => shown.set(part.dataset.part, part.innerHTML));

  const replaceParts = (fresh) => {
    const old = partsOf(document), parts = partsOf(fresh);
    if (namesOf(old) === namesOf(parts)) {
      parts.forEach((part, at) => {
        if (part.innerHTML !== shown.get(part.dataset.part)) replacePart(old[at], part.innerHTML);
      });
    } else {
      document.querySelector("main").replaceWith(fresh.querySelector("main"));
      remember();
    }
    document.title = fresh.title;
  };

  const replacePart = (old, html) => {
    const was = [...old.querySelectorAll("details")].map((each) => each.open);
    old.innerHTML = html;
    shown.set(old.dataset.part, html);
    old.querySelectorAll("details").forEach((each, at) => { if (at in was) each.open = was[at]; });
  };

  const look = async () => {
    let isAnswered = false;
    try {
      const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(LIMIT_MS) });
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      // Another program may answer in the replica's place: an ingress, or a login page.
      isAnswered = fresh.querySelector("main > [data-part=head]") !== null;
      if (isAnswered) {
        replaceParts(fresh);
        seen = new Date();
      }
    } catch { isAnswered = false; }
    document.getElementById("lost").hidden = isAnswered;
    document.getElementById("lost-since").textContent = `${seen.toISOString().slice(0, 19).replace("T", " ")} UTC`;
  };

  const turn = () => {
    const next = () => setTimeout(turn, PERIOD_MS);
    if (document.hidden) next(); else look().finally(next);
  };
  remember();
  setTimeout(turn, PERIOD_MS);
})();
