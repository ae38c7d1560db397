// A click on a column's name sorts the table by it; a second click turns the order round.
for (const table of document.querySelectorAll("table")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const sign = head.ariaSort === "ascending" ? -1 : 1;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.ariaSort = sign > 0 ? "ascending" : "descending";
      const key = (row) => row.cells[column]?.dataset.value ?? row.cells[column]?.textContent ?? "";
      const order = (a, b) => {
        const [x, y] = [key(a), key(b)];
        const numbers = [x, y].map((text) => (text === "" ? NaN : Number(text)));
        // What is not a number stays below the numbers.
        if (numbers.some(Number.isNaN)) return Number.isNaN(numbers[0]) - Number.isNaN(numbers[1]) || sign * x.localeCompare(y);
        return sign * (numbers[0] - numbers[1]);
      };
      const body = table.tBodies[0];
      body.append(...[...body.rows].sort(order));
    });
  });
}
