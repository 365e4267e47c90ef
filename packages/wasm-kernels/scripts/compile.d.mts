export declare function toolchain(): string | undefined;
export declare function compile(simd: 'plain' | 'relaxed'): Uint8Array;
