export declare const nativeFolder: string;
export declare function sourceFiles(): string[];
export declare function hashSources(): string;
