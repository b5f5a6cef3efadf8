/* golden_main.c for JavaScript: every golden row by every golden model through the exported module, a line a prediction.
 * golden.py describes the file and the lines. */

import { load } from "./text/index.mjs";

const TEXT = 0;
const SPARSE = 2;

/* The file's bytes, and the compiled cores for texts and for vectors. */
export async function lines(file, cores) {
    const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
    const u32 = (at) => view.getUint32(at, true);
    const bytes = (at, length) => file.subarray(at, at + length);
    const padded = (length) => (length + 3) & ~3;
    const rows = [];
    let at = 4;
    for (let left = u32(0); left > 0; left--) {
        const [kind, count] = [u32(at), u32(at + 4)];
        const start = at + 8;
        const columns = Array.from({ length: kind === SPARSE ? count : 0 }, (_, i) => u32(start + 4 * i));
        const first = start + 4 * columns.length;
        const values = Array.from({ length: kind === TEXT ? 0 : count }, (_, i) => view.getInt16(first + 2 * i, true));
        const input = { 0: bytes(start, count), 1: values, 2: { columns, values } }[kind];
        rows.push({ kind, input });
        at = start + padded(kind === TEXT ? count : 4 * columns.length + 2 * count);
    }
    const found = [];
    const models = u32(at);
    at += 4;
    for (let number = 0; number < models; number++) {
        const length = u32(at);
        const asked = at + 4 + padded(length);
        const numbers = Array.from({ length: u32(asked) }, (_, i) => u32(asked + 4 + 4 * i));
        const kind = numbers.length > 0 && rows[numbers[0]].kind !== TEXT ? "vector" : "text";
        found.push(...(await answers(number, bytes(at + 4, length), cores[kind], numbers, rows)));
        at = asked + 4 + 4 * numbers.length;
    }
    return found;
}

async function answers(number, data, wasm, numbers, rows) {
    let model;
    try {
        model = await load(data, { wasm });
    } catch (error) {
        return [`open ${number} ${error.message}`];
    }
    const answer = (index) => {
        const { input } = rows[index];
        const label = model.predict(input);
        const place = label === null ? -1 : model.labels.indexOf(label);
        return [number, index, place, ...model.scores(input)].join(" ");
    };
    return [`open ${number} PG_OK`, ...numbers.map(answer)];
}

/* In node: node golden.mjs */
if (typeof process === "object") {
    const { readFile } = await import("node:fs/promises");
    const read = (name) => readFile(new URL(name, import.meta.url));
    const compiled = async (name) => WebAssembly.compile(await read(name));
    const cores = {
        text: await compiled("./text/projgraph.wasm"),
        vector: await compiled("./vector/projgraph.wasm"),
    };
    console.log((await lines(await read("./golden.bin"), cores)).join("\n"));
}
