/* The page's own part, behind the module that runs the model. */

const NEAREST = 6;
const CLASSES = 5;
const COLUMNS = 96;
const NARROW = 420;
const MEASURED_MS = 6;
const data = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);
const number = new Intl.NumberFormat("en-US");
const percent = (share) => `${(100 * share).toFixed(1)} %`;
const colour = (index) => `hsl(${((index * 137.508) % 360).toFixed(0)} 58% ${index % 2 ? 36 : 41}%)`;
const decoded = (base64) => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));

/* An element with text or children; nothing is ever parsed as HTML. */
function element(name, attributes, ...children) {
    const made = name.startsWith("svg:")
        ? document.createElementNS("http://www.w3.org/2000/svg", name.slice(4))
        : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
}

/* Bits as two planes of 32-bit words. */
function packed(bits) {
    const words = (bits.length + 31) >> 5;
    const planes = new Uint32Array(2 * words);
    bits.forEach((bit, index) => {
        if (bit !== 0) planes[(bit > 0 ? 0 : words) + (index >> 5)] |= 1 << (index & 31);
    });
    return planes;
}

function ones(word) {
    word -= (word >>> 1) & 0x55555555;
    word = (word & 0x33333333) + ((word >>> 2) & 0x33333333);
    return (((word + (word >>> 4)) & 0x0f0f0f0f) * 0x01010101) >>> 24;
}

/* The share of the lit bits of two projection nodes that differ; opposite signs are two. */
function distance(one, other) {
    let differing = 0;
    let same = 0;
    for (let word = 0; word < one.length; word++) {
        differing += ones(one[word] ^ other[word]);
        same += ones(one[word] & other[word]);
    }
    return differing / Math.max(differing + same, 1);
}

/* The nearest of the nodes, in the order of the file where they tie. */
function nearestOf(model, nodes, text) {
    const own = packed(model.project(text));
    const found = nodes.map((node, row) => ({ ...node, row, distance: distance(own, node.planes) }));
    return found.sort((a, b) => a.distance - b.distance || a.row - b.row).slice(0, NEAREST);
}

/* Microseconds of a prediction: browsers round their clock, so many calls are timed together. */
function microseconds(model, text) {
    const start = performance.now();
    let calls = 0;
    do {
        for (let repeat = 0; repeat < 10; repeat++) model.predict(text);
        calls += 10;
    } while (performance.now() - start < MEASURED_MS);
    return (1000 * (performance.now() - start)) / calls;
}

function showFacts(model, time) {
    const facts = [
        [number.format(model.labels.length), model.labels.length === 1 ? "class" : "classes"],
        [number.format(Math.round(data.bytes / 1024)), "KB of model"],
        [number.format(model.bits), "bits"],
        [time < 9.95 ? time.toFixed(1) : number.format(Math.round(time)), "µs a call"],
    ];
    at("facts").replaceChildren(...facts.map(([value, name]) => element("li", {}, element("b", {}, value), ` ${name}`)));
}

function showAnswer(model, text) {
    const label = model.predict(text);
    const shares = model.probabilities(text);
    const order = [...shares.keys()].sort((a, b) => shares[b] - shares[a] || a - b);
    const [best] = order;
    at("label").textContent = label ?? "no label";
    at("label").classList.toggle("none", label === null);
    at("confidence").textContent = label === null
        ? `The best score, of ${model.labels[best]}, is below the model's threshold: it abstains.`
        : `${percent(shares[best])} confident`;
    at("classes").replaceChildren(...order.slice(0, CLASSES).map((index) => {
        const bar = element("i", { style: `width:${(100 * shares[index]).toFixed(2)}%;background:${colour(index)}` });
        const name = element("span", { title: model.labels[index] }, model.labels[index]);
        return element("li", {}, name, element("div", { class: "bar" }, bar), element("b", {}, percent(shares[index])));
    }));
}

/* A cell a bit, on whole pixels of the screen. */
function showBits(model, text) {
    const bits = model.project(text), canvas = at("bits"), style = getComputedStyle(document.documentElement);
    const width = Math.round(canvas.clientWidth * devicePixelRatio);
    const columns = Math.min(canvas.clientWidth < NARROW ? COLUMNS / 2 : COLUMNS, bits.length);
    const cell = width / columns, gap = cell > 5 ? Math.max(1, Math.round(devicePixelRatio)) : 0;
    const edge = (place) => Math.round(place * cell);
    canvas.width = width;
    canvas.height = edge(Math.ceil(bits.length / columns));
    const context = canvas.getContext("2d");
    const colours = ["--minus", "--zero", "--plus"].map((name) => style.getPropertyValue(name).trim());
    const counts = [0, 0, 0];
    bits.forEach((bit, index) => {
        const [x, y] = [index % columns, Math.floor(index / columns)];
        counts[bit + 1]++;
        context.fillStyle = colours[bit + 1];
        context.fillRect(edge(x), edge(y), edge(x + 1) - edge(x) - gap, edge(y + 1) - edge(y) - gap);
    });
    at("counts").textContent = `${number.format(counts[0] + counts[2])} of ${number.format(bits.length)} bits lit`;
    canvas.setAttribute("aria-label", `${counts[2]} bits are +1, ${counts[0]} are −1, ${counts[1]} are 0`);
}

function showNearest(model, nodes, text) {
    const found = nearestOf(model, nodes, text);
    const shade = (node) => (node.label === "" ? "#64748b" : colour(model.labels.indexOf(node.label)));
    at("nodes").replaceChildren(...found.map((node, place) => element("li", {},
        element("b", { style: `background:${shade(node)}` }, String(place + 1)),
        element("span", { title: node.text }, node.text),
        element("em", {}, node.label || "no label"),
        element("data", { value: node.distance }, node.distance.toFixed(3)))));
    at("map").replaceChildren(...mapOf(found, shade));
}

/* The sentence in the middle, and each node as far from it as its distance is of the farthest one's scale. */
function mapOf(found, shade) {
    const farthest = Math.max(...found.map((node) => node.distance), 0.01);
    const scale = 96 / farthest, drawn = [];
    for (const share of [1 / 3, 2 / 3, 1]) {
        drawn.push(element("svg:circle", { class: "ring", r: 96 * share }));
        drawn.push(element("svg:text", { class: "tick", x: 2, y: -96 * share - 2 }, (farthest * share).toFixed(2)));
    }
    const places = found.map((node, place) => {
        const angle = (2 * Math.PI * place) / found.length - Math.PI / 3;
        const radius = Math.max(node.distance * scale, 15);
        return [radius * Math.cos(angle), radius * Math.sin(angle)];
    });
    for (const [x, y] of places) drawn.push(element("svg:line", { class: "ray", x1: 0, y1: 0, x2: x, y2: y }));
    drawn.push(element("svg:circle", { class: "you", r: 5 }, element("svg:title", {}, "your sentence")));
    found.forEach((node, place) => {
        const [x, y] = places[place];
        const dot = element("svg:circle", { class: "dot", cx: x, cy: y, r: 8.5, fill: shade(node) });
        dot.append(element("svg:title", {}, `${node.text} (${node.label || "no label"})`));
        drawn.push(dot, element("svg:text", { class: "dot-number", x, y }, String(place + 1)));
    });
    return drawn;
}

async function start() {
    const model = await load(decoded(data.model), { wasm: decoded(data.wasm) });
    const nodes = data.nodes.map(([text, label]) => ({ text, label, planes: packed(model.project(text)) }));
    const show = () => {
        const text = at("text").value;
        showAnswer(model, text);
        showBits(model, text);
        if (nodes.length > 0) showNearest(model, nodes, text);
        showFacts(model, microseconds(model, text));
    };
    at("examples").replaceChildren(...data.examples.map((text) => {
        const button = element("button", { type: "button" }, text);
        button.addEventListener("click", () => {
            at("text").value = text;
            show();
        });
        return button;
    }));
    at("nearest").hidden = nodes.length === 0;
    at("searched").textContent = `among ${number.format(nodes.length)} ${data.sampled ? "of " + number.format(data.sampled) + " " : ""}training texts, by the share of lit bits that differ`;
    at("text").addEventListener("input", show);
    addEventListener("resize", () => showBits(model, at("text").value));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
    if (data.examples.length > 0) at("text").value = data.examples[0];
    show();
    /* For the console, and for tests. */
    window.projgraph = { model, nearest: (text) => nearestOf(model, nodes, text) };
}

start().catch((error) => {
    document.querySelector("main").replaceChildren(element("p", { class: "error" }, `This page cannot run: ${error.message}`));
});
