/* Written by projgraph export. */

/** Bytes, a response of fetch, or where they are: a URL or a path, of the page or of the working folder. */
export type Source = ArrayBuffer | ArrayBufferView | Response | URL | string;

/** What the model takes: a text (or its UTF-8), or a vector, all its numbers or those of some ascending columns. */
export type Input = string | Uint8Array | ArrayLike<number> | SparseVector;

export interface SparseVector {
    columns: ArrayLike<number>;
    values: ArrayLike<number>;
}

export interface Options {
    /** The core, where it is not beside this module: projgraph.wasm by its bytes or place, or compiled already. */
    wasm?: Source | WebAssembly.Module;
}

/**
 * A model ready to run. Without an argument, the one that was exported with this module.
 *
 * @throws Error where the bytes are no model of this kind; the message says why.
 */
export function load(model?: Source, options?: Options): Promise<Model>;

/** A trained classifier with a WebAssembly memory of its own: some 100 KB and the model, which grows for long texts. */
export class Model {
    private constructor();

    /** The names of the classes, in the order of scores. */
    readonly labels: readonly string[];
    /** Bits of a projection. */
    readonly bits: number;
    /** Numbers of a vector; 0 where the model takes texts. */
    readonly columns: number;
    /** A largest score below it gives no label; 0 for none. */
    readonly threshold: number;
    /** A logit is a score times this. */
    readonly scale: number;
    /** Of vectors: an integer value is round(x * valueScale); 0 where the model takes texts. */
    readonly valueScale: number;
    /** What the file says of its making. */
    readonly provenance: Readonly<Record<string, unknown>>;

    /** The label, or null where no score reaches the threshold. */
    predict(input: Input): string | null;
    /** An integer a class, the same to the bit on every device. */
    scores(input: Input): Int32Array;
    /** A probability a class, in the order of labels. */
    probabilities(input: Input): Float64Array;
    /** The bits of the input, each -1, 0 or 1. */
    project(input: Input): Int8Array;
}
