// What Vega expects of its surroundings and a bare JavaScript engine lacks.
globalThis.structuredClone = function copy(value) {
    if (Array.isArray(value)) {
        return value.map(copy);
    }
    if (value instanceof Date) {
        return new Date(value);
    }
    if (value && typeof value === "object") {
        return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, copy(inner)]));
    }
    return value;
};
globalThis.setTimeout = function (task) {
    Promise.resolve().then(task);
    return 0;
};
globalThis.clearTimeout = function () {};
