/**
 * The part of the WebAssembly JavaScript interface that this code uses. TypeScript has it only in its `dom`
 * library, which would put `window` and `document` into scope as well.
 * @see https://webassembly.github.io/spec/js-api/
 */
declare namespace WebAssembly {
  type ImportValue = ((...parameters: never[]) => unknown) | Memory | Table | number;
  type Imports = Record<string, Record<string, ImportValue>>;

  class Module {
    constructor(bytes: Uint8Array | ArrayBuffer);
    static exports(module: Module): { name: string; kind: string }[];
    static imports(module: Module): { module: string; name: string; kind: string }[];
  }
  class Instance {
    constructor(module: Module, imports?: Imports);
    readonly exports: Readonly<Record<string, unknown>>;
  }
  class Memory {
    constructor(descriptor: { initial: number; maximum?: number; shared?: boolean });
    readonly buffer: ArrayBuffer;
    grow(pages: number): number;
  }
  class Table {
    constructor(descriptor: { initial: number; element: string; maximum?: number });
    readonly length: number;
  }
  class RuntimeError extends Error {}
  class CompileError extends Error {}

  function compile(bytes: Uint8Array | ArrayBuffer): Promise<Module>;
  function instantiate(module: Module, imports?: Imports): Promise<Instance>;
}
