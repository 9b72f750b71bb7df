// A function of a specification's text, a receiver of (SVG, warnings) and a receiver of a failure's text.
(function (text, accept, refuse) {
    const warnings = [];
    const logger = {
        level() { return this; },
        error(...parts) { warnings.push(parts.join(" ")); return this; },
        warn(...parts) { warnings.push(parts.join(" ")); return this; },
        info() { return this; },
        debug() { return this; },
    };
    const compiled = vegaLite.compile(JSON.parse(text), { logger }).spec;
    vega.resetSVGDefIds();
    new vega.View(vega.parse(compiled), { renderer: "none", logger })
        .toSVG()
        .then((svg) => accept(svg, warnings), (failure) => refuse(String(failure)));
});
