
"use strict";
(function () {
    const data = JSON.parse(document.getElementById("report-data").textContent);

    // ------------------------------------------------------------------------------------------------ charts

    const views = new Map();

    function draw(name, specification) {
        const place = document.getElementById("chart-" + name);
        return vegaEmbed(place, specification, {
            mode: "vega-lite",
            renderer: "svg",
            ast: true,
            actions: false,
            defaultStyle: false,
            tooltip: { disableDefaultStyle: true, theme: "report" },
        }).then(
            (result) => views.set(name, result.view),
            (failure) => {
                const text = document.createElement("p");
                text.className = "error";
                text.textContent = "This chart could not be drawn: " + failure.message;
                place.replaceChildren(text);
                console.error(failure);
            },
        );
    }

    function save(text, type, file) {
        const link = document.createElement("a");
        link.href = URL.createObjectURL(new Blob([text], { type }));
        link.download = file;
        link.click();
        URL.revokeObjectURL(link.href);
    }

    for (const button of document.querySelectorAll("button[data-chart]")) {
        const name = button.dataset.chart;
        button.addEventListener("click", () => {
            if (button.dataset.as === "json") {
                save(JSON.stringify(data.charts[name], null, 2), "application/json", name + ".vl.json");
            } else {
                views.get(name)?.toSVG().then((svg) => save(svg, "image/svg+xml", name + ".svg"));
            }
        });
    }

    // ------------------------------------------------------------------------------------------------ tables

    const PAGE = 50;
    const NUMBER = /^[0-9][0-9.,]*(e-?[0-9]+)?$/;
    const grouped = new Intl.NumberFormat("en-US");
    const formats = {
        text: String,
        integer: (value) => grouped.format(value),
        accuracy: (value) => value.toFixed(3),
        rate: (value) => (value !== 0 && value < 1e-3 ? trim(value.toExponential(2)) : digits(value)),
        amount: (value) => (value >= 100 ? grouped.format(Math.round(value)) : digits(value)),
    };

    function digits(value) {
        return String(Number(value.toPrecision(3)));
    }

    function trim(text) {
        return text.replace(/\.?0+e/, "e");
    }

    function shown(column, value) {
        return value === null ? "–" : formats[column.kind](value);
    }

    function element(tag, properties, ...children) {
        const made = Object.assign(document.createElement(tag), properties);
        made.append(...children);
        return made;
    }

    async function configuration(table, index) {
        const packed = atob(table.configurations[Math.floor(index / table.chunk)]);
        const bytes = Uint8Array.from(packed, (character) => character.charCodeAt(0));
        const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
        const texts = JSON.parse(await new Response(stream).text());
        const text = texts[index % table.chunk];
        try {
            return JSON.stringify(JSON.parse(text), null, 2);
        } catch {
            return text;
        }
    }

    /** Rows are made for one page at a time, so that ten thousand cost no more than fifty. */
    class Table {
        constructor(place, table) {
            this.table = table;
            this.order = table.rows.map((_, index) => index);
            this.words = null;
            this.page = 0;
            this.sorted = -1;
            this.down = false;
            this.search = element("input", { type: "search", placeholder: "Filter: words that a row must have" });
            this.search.setAttribute("aria-label", "Filter rows");
            this.search.addEventListener("input", () => this.arrange());
            this.status = this.choices();
            this.body = element("tbody", {});
            this.heads = table.columns.map((column, index) => this.head(column, index));
            this.count = element("span", {});
            this.count.setAttribute("aria-live", "polite");
            this.back = element("button", { type: "button", textContent: "Previous" });
            this.next = element("button", { type: "button", textContent: "Next" });
            this.back.addEventListener("click", () => this.turn(-1));
            this.next.addEventListener("click", () => this.turn(1));
            const controls = element("div", { className: "controls" }, this.search);
            if (this.status) {
                controls.append(element("label", {}, "Status ", this.status));
            }
            place.append(
                controls,
                element("div", { className: "scroll" },
                    element("table", {}, element("thead", {}, element("tr", {}, ...this.heads)), this.body)),
                element("div", { className: "pager" }, this.back, this.next, this.count),
            );
            this.arrange();
        }

        choices() {
            this.statusColumn = this.table.columns.findIndex((column) => column.title === "status");
            if (this.statusColumn < 0) {
                return null;
            }
            const present = [...new Set(this.table.rows.map((row) => row[this.statusColumn]))].sort();
            const select = element("select", {}, ...["all", ...present].map((value) => new Option(value, value)));
            select.addEventListener("change", () => this.arrange());
            return select;
        }

        head(column, index) {
            const button = element("button", { type: "button", textContent: column.title });
            button.addEventListener("click", () => {
                this.down = this.sorted === index ? !this.down : false;
                this.sorted = index;
                this.arrange();
            });
            const cell = element("th", { scope: "col", className: this.kind(column) }, button);
            return cell;
        }

        kind(column) {
            return column.kind === "text" ? "text" : "number";
        }

        matches(index, wanted) {
            if (this.status && this.status.value !== "all"
                && this.table.rows[index][this.statusColumn] !== this.status.value) {
                return false;
            }
            if (wanted.length === 0) {
                return true;
            }
            this.words ??= this.table.rows.map((row) => this.text(row));
            return wanted.every((word) => this.words[index].includes(NUMBER.test(word) ? " " + word + " " : word));
        }

        /** What a filter looks through. A number must be met as a whole: 64 is not found in 1,640. */
        text(row) {
            const parts = this.table.columns.map((column, index) => shown(column, row[index]));
            return (" " + parts.join(" ") + " " + row.slice(parts.length).join(" ") + " ").toLowerCase();
        }

        arrange() {
            const wanted = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
            const order = this.table.rows.map((_, index) => index).filter((index) => this.matches(index, wanted));
            if (this.sorted >= 0) {
                const rows = this.table.rows;
                const column = this.sorted;
                const sign = this.down ? -1 : 1;
                order.sort((first, second) =>
                    sign * compare(rows[first][column], rows[second][column]) || first - second);
                // What is not known stands last either way.
                order.sort((first, second) => (rows[first][column] === null) - (rows[second][column] === null));
            }
            this.order = order;
            this.page = 0;
            this.heads.forEach((head, index) => {
                head.setAttribute("aria-sort",
                    index !== this.sorted ? "none" : this.down ? "descending" : "ascending");
                head.firstChild.textContent = this.table.columns[index].title
                    + (index !== this.sorted ? "" : this.down ? " ▼" : " ▲");
            });
            this.show();
        }

        turn(pages) {
            this.page += pages;
            this.show();
        }

        show() {
            const first = this.page * PAGE;
            const visible = this.order.slice(first, first + PAGE);
            this.body.replaceChildren(...visible.map((index) => this.row(index)));
            const all = this.table.rows.length;
            const some = this.order.length === all ? "" : " (of " + grouped.format(all) + ")";
            this.count.textContent = this.order.length === 0
                ? "No rows" + some
                : "Rows " + (first + 1) + " to " + (first + visible.length)
                    + " of " + grouped.format(this.order.length) + some;
            this.back.disabled = this.page === 0;
            this.next.disabled = first + PAGE >= this.order.length;
        }

        row(index) {
            const values = this.table.rows[index];
            const row = element("tr", {});
            this.table.columns.forEach((column, number) => {
                const text = shown(column, values[number]);
                const cell = element("td", { className: this.kind(column) });
                if (number === this.statusColumn) {
                    cell.classList.add(values[number]);
                }
                if (number === 0 && this.table.configurations) {
                    const open = element("button", { type: "button", className: "open", textContent: text });
                    open.setAttribute("aria-expanded", "false");
                    cell.append(open);
                } else {
                    cell.textContent = text;
                    cell.title = column.kind === "text" ? text : "";
                }
                row.append(cell);
            });
            if (this.table.configurations) {
                row.classList.add("choosable");
                row.addEventListener("click", () => this.open(row, index));
            }
            return row;
        }

        open(row, index) {
            const button = row.querySelector("button.open");
            if (row.nextSibling?.classList.contains("opened")) {
                row.nextSibling.remove();
                button.setAttribute("aria-expanded", "false");
                return;
            }
            const cell = element("td", { className: "detail", colSpan: this.table.columns.length });
            const message = this.table.rows[index][this.table.columns.length];
            if (message) {
                cell.append(element("p", { textContent: message }));
            }
            const text = element("pre", { textContent: "…" });
            cell.append(text);
            row.after(element("tr", { className: "opened" }, cell));
            button.setAttribute("aria-expanded", "true");
            configuration(this.table, index).then(
                (found) => { text.textContent = found; },
                (failure) => { text.textContent = "The configuration could not be read: " + failure.message; },
            );
        }
    }

    function compare(first, second) {
        if (typeof first === "number" && typeof second === "number") {
            return first - second;
        }
        return String(first).localeCompare(String(second), "en", { numeric: true });
    }

    for (const place of document.querySelectorAll("[data-table]")) {
        new Table(place, data.tables[place.dataset.table]);
    }

    Promise.all(Object.entries(data.charts).map(([name, specification]) => draw(name, specification)))
        .then(() => document.documentElement.setAttribute("data-drawn", "true"));
})();
