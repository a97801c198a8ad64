// Steps through a figure that has several states. Without this script all states are shown, one
// under the other.
//
// The markup, in a page (the blank lines are for mdBook, which reads markdown between them):
//
//   <div class="stepper" aria-label="pivot_root, call by call">
//   <figure class="step">
//
//   {{#include ../pictures/02-pivot-1.svg}}
//
//   <figcaption>
//
//   **1. `unshare`**: one or two sentences of what changed and why.
//
//   </figcaption>
//   </figure>
//   <figure class="step">
//   …
//   </figure>
//   </div>
//
// Each picture keeps the same viewBox, and each thing its place, so that what moves is what
// changed; `class="… new"` draws what this step has just made, `gone` what it took away. Each
// title and desc needs an id of its own (`02-pivot-1-t`, `02-pivot-1-d`).
//
// By mouse: the two buttons. By keyboard: Tab to the figure or a button, then the arrow keys, Home
// and End. A screen reader is told the number of the step and its caption.

"use strict";

(() => {
  const button = (text, action) => {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = text;
    made.addEventListener("click", action);
    return made;
  };

  const start = (stepper) => {
    const steps = [...stepper.querySelectorAll(":scope > .step")];
    if (steps.length < 2) return;
    let now = 0;

    const bar = document.createElement("div");
    bar.className = "stepper-bar";
    const where = document.createElement("span");
    where.className = "stepper-where";
    const spoken = document.createElement("span");
    spoken.className = "stepper-spoken";
    spoken.setAttribute("aria-live", "polite");
    spoken.style.cssText =
      "position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap";

    const show = (wanted, speak) => {
      now = Math.min(Math.max(wanted, 0), steps.length - 1);
      steps.forEach((step, number) => step.classList.toggle("now", number === now));
      // aria-disabled, not disabled: a button that loses the focus loses the reader too.
      back.setAttribute("aria-disabled", now === 0);
      next.setAttribute("aria-disabled", now === steps.length - 1);
      where.textContent = `${now + 1} of ${steps.length}`;
      if (speak) {
        const caption = steps[now].querySelector("figcaption");
        spoken.textContent = `Step ${where.textContent}. ${caption ? caption.textContent.trim() : ""}`;
      }
    };

    const back = button("← Back", () => show(now - 1, true));
    const next = button("Next →", () => show(now + 1, true));
    bar.append(back, where, next, spoken);
    stepper.append(bar);
    stepper.classList.add("live");
    stepper.setAttribute("role", "group");
    stepper.tabIndex = 0;

    stepper.addEventListener("keydown", (event) => {
      if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
      const wanted = { ArrowLeft: now - 1, ArrowRight: now + 1, Home: 0, End: steps.length - 1 }[event.key];
      if (wanted === undefined) return;
      event.preventDefault();
      event.stopPropagation(); // mdBook would turn the page
      show(wanted, true);
    });
    show(0, false);
  };

  document.querySelectorAll(".stepper").forEach(start);
})();
