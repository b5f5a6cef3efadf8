/* Written by projgraph export, and written anew by the next one: copy it before you change it.
 * Runs a .pgb model in any JavaScript engine with WebAssembly: node, browsers, workers, bundlers.
 * SPDX-License-Identifier: Apache-2.0 */

const STATUSES = ["@statuses@"];

const LARGEST = 32767;
const ENCODER = new TextEncoder();
const DECODER = new TextDecoder();
const LONE_SURROGATE = /\p{Surrogate}/u;

/* Without a model, the one that was exported with this file. */
export async function load(model, options = {}) {
    const bytes = await bytesOf(model ?? new URL("./@file@", import.meta.url));
    let core = options.wasm ?? new URL("./projgraph.wasm", import.meta.url);
    if (!(core instanceof WebAssembly.Module)) core = await WebAssembly.compile(await bytesOf(core));
    return new Model(await WebAssembly.instantiate(core), bytes);
}

/* The bytes of a typed array, an ArrayBuffer, a Response, or of what stands at a URL. */
async function bytesOf(source) {
    if (ArrayBuffer.isView(source)) return new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
    if (source instanceof ArrayBuffer) return new Uint8Array(source);
    if (typeof Response === "function" && source instanceof Response) return bytesOfResponse(source);
    if (typeof source !== "string" && !(source instanceof URL))
        throw new TypeError(`given ${kindOf(source)}; expected a URL, bytes or a Response`);
    const url = typeof source === "string" && !source.includes("://") ? relative(source) : new URL(source);
    if (url.protocol !== "file:" || typeof process !== "object") return bytesOfResponse(await fetch(url));
    const { readFile } = await import(/* webpackIgnore: true */ /* @vite-ignore */ "node:fs/promises");
    return new Uint8Array(await readFile(url));
}

/* A path: of the page in a browser, of the working folder in node. */
function relative(path) {
    if (typeof location === "object") return new URL(path, location.href);
    return new URL(encodeURI(path).replace(/[?#]/g, encodeURIComponent), `file://${encodeURI(process.cwd())}/`);
}

async function bytesOfResponse(response) {
    if (!response.ok) throw new Error(`${response.url}: the server says ${response.status} ${response.statusText}`);
    return new Uint8Array(await response.arrayBuffer());
}

export class Model {
    #core;
    #labels = [];
    #largest;
    #scratchSize;
    #scratch;
    #scores;
    #planes;
    #input;
    #end;

    /* An instance of projgraph.wasm that holds no model yet, and the bytes of a .pgb file; use load(). */
    constructor(instance, bytes) {
        this.#core = instance.exports;
        const start = aligned(this.#core.__heap_base.value);
        this.#reserve(start + bytes.length + 64);
        new Uint8Array(this.#core.memory.buffer).set(bytes, start);
        const status = this.#core.open(start, bytes.length);
        if (status !== 0) throw new Error(`the model cannot be used: ${reason(status)}`);
        this.#lay(aligned(start + bytes.length));
    }

    /* The places of everything behind the model; the input is last, so that it can grow. */
    #lay(start) {
        const { memory, facts, label } = this.#core;
        facts(start);
        const [classes, bits, columns, threshold, provenance, length] = new Uint32Array(memory.buffer, start, 6);
        this.bits = bits;
        this.columns = columns;
        this.threshold = threshold | 0;
        this.scale = this.#core.scale();
        this.valueScale = columns ? this.#core.valueScale() : 0;
        this.provenance = length ? JSON.parse(this.#text(provenance, length)) : {};
        for (let index = 0; index < classes; index++) {
            label(index, start);
            const [size, at] = new Uint32Array(memory.buffer, start, 2);
            this.#labels.push(this.#text(at, size));
        }
        this.labels = Object.freeze(this.#labels);
        this.#scratchSize = this.#core.scratch();
        this.#scratch = start;
        this.#scores = aligned(start + this.#scratchSize);
        this.#planes = aligned(this.#scores + 4 * classes);
        this.#input = aligned(this.#planes + 2 * this.#planeBytes());
        this.#end = 0;
        this.#room(1024);
    }

    /* The label of a text or a vector, or null where no score reaches the model's threshold. */
    predict(input) {
        const label = this.#call(this.#core.predict, input, this.#scores);
        return label < 0 ? null : this.#labels[label];
    }

    /* An integer score a class, the same to the bit on every device; the largest is the label's. */
    scores(input) {
        this.#call(this.#core.predict, input, this.#scores);
        return new Int32Array(this.#core.memory.buffer, this.#scores, this.#labels.length).slice();
    }

    /* A probability a class: the softmax of scores times the model's scale. */
    probabilities(input) {
        const odds = Float64Array.from(this.scores(input), (score) => score * this.scale);
        const largest = odds.reduce((most, each) => Math.max(most, each), -Infinity);
        for (let index = 0; index < odds.length; index++) odds[index] = Math.exp(odds[index] - largest);
        const sum = odds.reduce((all, each) => all + each, 0);
        return odds.map((each) => each / sum);
    }

    /* The bits of a text or a vector, each -1, 0 or 1: its projection node. */
    project(input) {
        const size = this.#planeBytes();
        this.#call(this.#core.project, input, this.#planes, this.#planes + size);
        const planes = new Uint8Array(this.#core.memory.buffer, this.#planes, 2 * size);
        const at = (bit, plane) => (planes[plane * size + (bit >> 3)] >> (bit & 7)) & 1;
        return Int8Array.from({ length: this.bits }, (_, bit) => at(bit, 0) - at(bit, 1));
    }

    #call(run, input, ...outputs) {
        const given = this.columns ? this.#vector(input) : [this.#input, this.#writeText(input)];
        const found = run(...given, this.#scratch, this.#scratchSize, ...outputs);
        if (found < -1) throw new RangeError(`no prediction: ${reason(-2 - found)}`);
        return found;
    }

    /* Puts a text into the memory as UTF-8; returns its length in bytes. */
    #writeText(text) {
        if (text instanceof Uint8Array) {
            this.#room(text.length);
            new Uint8Array(this.#core.memory.buffer).set(text, this.#input);
            return text.length;
        }
        if (typeof text !== "string")
            throw new TypeError(`given ${kindOf(text)}; the model takes texts: a string, or its UTF-8 as a Uint8Array`);
        if (LONE_SURROGATE.test(text)) return this.#writeText(encodedWithSurrogates(text));
        this.#room(3 * text.length);
        return ENCODER.encodeInto(text, new Uint8Array(this.#core.memory.buffer, this.#input)).written;
    }

    /* Puts a vector into the memory: columns (0 where it is dense), values, count. */
    #vector(row) {
        const sparse = row !== null && typeof row === "object" && "columns" in row;
        const numbers = sparse ? row.values : row;
        if (!numbers || typeof numbers !== "object" || !Number.isInteger(numbers.length))
            throw new TypeError(`given ${kindOf(row)}; the model takes ${this.columns} numbers, or {columns, values}`);
        const count = numbers.length;
        if (sparse ? row.columns.length !== count : count !== this.columns)
            throw new RangeError(`given ${count} numbers; the model has ${this.columns} columns`);
        const values = aligned(this.#input + (sparse ? 4 * count : 0));
        this.#room(values + 2 * count - this.#input);
        if (sparse) new Uint32Array(this.#core.memory.buffer, this.#input, count).set(row.columns);
        const target = new Int16Array(this.#core.memory.buffer, values, count);
        for (let index = 0; index < count; index++) target[index] = integer(numbers[index], this.valueScale, index);
        return [sparse ? this.#input : 0, values, count];
    }

    #planeBytes() {
        return (this.bits + 7) >> 3;
    }

    #text(at, length) {
        return DECODER.decode(new Uint8Array(this.#core.memory.buffer, at, length));
    }

    #room(bytes) {
        if (this.#input + bytes <= this.#end) return;
        this.#reserve(this.#input + bytes);
        this.#end = this.#core.memory.buffer.byteLength;
    }

    #reserve(end) {
        const missing = end - this.#core.memory.buffer.byteLength;
        if (missing > 0) this.#core.memory.grow(Math.ceil(missing / 65536));
    }
}

const aligned = (at) => (at + 63) & ~63;
const reason = (status) => STATUSES[status] ?? `status ${status}`;

function kindOf(value) {
    if (value === null) return "null";
    return typeof value === "object" ? (value.constructor?.name ?? "an object") : typeof value;
}

/* round(x * scale) as the trainer rounds it: a float32 times the scale as doubles, half to even, within 16 bits. */
function integer(number, scale, index) {
    const product = Math.fround(number) * scale;
    if (!Number.isFinite(Math.fround(number))) throw new RangeError(`number ${index} is ${number}; expected a finite one`);
    if (product >= LARGEST) return LARGEST;
    if (product <= -LARGEST - 1) return -LARGEST - 1;
    const below = Math.floor(product);
    const rest = product - below;
    return below + (rest > 0.5 || (rest === 0.5 && below % 2 !== 0) ? 1 : 0);
}

/* UTF-8 that keeps a lone surrogate as its three bytes, as Python's "surrogatepass" does; TextEncoder would not. */
function encodedWithSurrogates(text) {
    const bytes = [];
    for (const character of text) {
        const point = character.codePointAt(0);
        if (point < 0xd800 || point > 0xdfff) bytes.push(...ENCODER.encode(character));
        else bytes.push(0xe0 | (point >> 12), 0x80 | ((point >> 6) & 63), 0x80 | (point & 63));
    }
    return Uint8Array.from(bytes);
}
