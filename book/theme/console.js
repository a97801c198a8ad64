// Tells typed lines from printed ones in console blocks, and copies only what is typed.

"use strict";

(() => {
  const span = (kind, text) => {
    const made = document.createElement("span");
    made.className = kind;
    made.textContent = text;
    return made;
  };

  for (const block of document.querySelectorAll("code.language-console")) {
    const lines = block.textContent.replace(/\n$/, "").split("\n");
    block.textContent = "";
    let inside = false; // after a command: lines with "# " are typed into the shell it started
    for (const line of lines) {
      const prompt = /^(\$|#) /.exec(line);
      if (prompt && (prompt[1] === "$" || inside)) {
        inside = true;
        block.append(span("console-prompt", prompt[0]), span("console-typed", line.slice(2)), "\n");
      } else {
        block.append(span("console-output", line), "\n");
      }
    }
  }
})();
