// Shows a listing as the page means it: without the indentation of the place it was taken from,
// and without an exercise's task, whose lines begin with `// |`; the page has told it already.

"use strict";

for (const block of document.querySelectorAll("code.language-rust")) {
  const before = block.textContent;
  const lines = before.split("\n").filter((line) => !/^\s*\/\/ \| ?/.test(line));
  const widths = lines.filter((line) => line.trim()).map((line) => line.search(/\S/));
  const width = Math.min(...widths);
  const after = lines.map((line) => line.slice(width)).join("\n");
  if (after === before || !widths.length) continue;
  block.textContent = after;
  delete block.dataset.highlighted;
  hljs.highlightElement ? hljs.highlightElement(block) : hljs.highlightBlock(block);
}
