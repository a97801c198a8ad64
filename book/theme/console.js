// Tells typed lines from printed ones in console blocks, and lets their copy button copy what is
// typed and no more. The rules are those of `cargo course dev console`: `$ ` is typed, a `> ` right
// behind it goes on with it, and `# ` is typed into the shell that was started.

"use strict";

(() => {
  const span = (kind, text) => {
    const made = document.createElement("span");
    made.className = kind;
    made.textContent = text;
    return made;
  };

  const colour = (block) => {
    const lines = block.textContent.replace(/\n$/, "").split("\n");
    let isTyped = false;
    block.textContent = "";
    for (const line of lines) {
      const prompt = (isTyped ? /^[$#>] / : /^[$#] /).exec(line);
      isTyped = prompt !== null;
      if (isTyped) {
        block.append(span("console-prompt", prompt[0]), span("console-typed", line.slice(2)), "\n");
      } else {
        // A table must not wrap. What strace prints only looks like one: `write(…)      = 6`.
        const isTable = /\S {2,}\S/.test(line.replace(/\) +=/, ")="));
        block.append(span(isTable ? "console-output" : "console-output wraps", line), "\n");
      }
    }
  };

  const copy = (block, button) => {
    const typed = [...block.querySelectorAll(".console-typed")].map((line) => `${line.textContent}\n`);
    navigator.clipboard.writeText(typed.join("")).then(() => {
      button.firstChild.innerText = "Copied!"; // mdBook's own tooltip
      button.classList.add("tooltipped");
    });
  };

  for (const block of document.querySelectorAll("code.language-console")) {
    colour(block);
    block.parentElement.addEventListener("click", (event) => {
      const button = event.target.closest(".clip-button");
      if (!button || !navigator.clipboard) return;
      event.stopPropagation(); // before mdBook copies all of it
      copy(block, button);
    }, true);
  }
})();
