/* Runs an exported folder on the cases that standard input holds, and prints what it answers as JSON. */

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const folder = pathToFileURL(process.argv[2] + "/");
const { load } = await import(new URL("index.mjs", folder));
const { cases, model: file } = JSON.parse(readFileSync(0, "utf8"));
const model = file ? await load(file) : await load();

const input = (each) => {
    if (each.bytes !== undefined) return Uint8Array.from(Buffer.from(each.bytes, "base64"));
    if (each.row !== undefined) return Float32Array.from(each.row);
    if (each.undefined) return undefined;
    return each.given;
};
const answer = (each) => {
    try {
        const given = input(each);
        const label = model.predict(given);
        return {
            label,
            scores: [...model.scores(given)],
            probabilities: [...model.probabilities(given)],
            bits: [...model.project(given)],
        };
    } catch (error) {
        return { error: `${error.name}: ${error.message}` };
    }
};
const { labels, bits, columns, threshold, scale, valueScale, provenance } = model;
const facts = { labels, bits, columns, threshold, scale, valueScale, provenance };
process.stdout.write(JSON.stringify({ facts, answers: cases.map(answer) }));
