// A click on a column's name, or Enter on it, sorts the table by it; a second one turns the order round.
for (const table of document.querySelectorAll("table:not(.matrix)")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    // Numbers before words such as "diverged", and nothing at all last, whichever way the numbers run.
    const key = (row) => {
      const cell = row.cells[column];
      const text = cell?.textContent.trim() ?? "";
      const number = cell?.dataset.value ? Number(cell.dataset.value) : NaN;
      return { row, text, number, kind: Number.isFinite(number) ? 0 : /^[-–—]?$/.test(text) ? 2 : 1 };
    };
    button.addEventListener("click", () => {
      const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      const order = (a, b) =>
        a.kind - b.kind ||
        sign * (a.kind === 0 ? a.number - b.number : a.text.localeCompare(b.text, "en", { numeric: true }));
      const body = table.tBodies[0];
      body.append(...[...body.rows].map(key).sort(order).map(({ row }) => row));
    });
  });
}

// Print has what is folded away, and so has a link into it.
const folded = [...document.querySelectorAll("details")];
let opened = [];
addEventListener("beforeprint", () => {
  opened = folded.filter((details) => !details.open);
  opened.forEach((details) => (details.open = true));
});
addEventListener("afterprint", () => opened.forEach((details) => (details.open = false)));
