import { join } from 'node:path';
import ts from 'typescript';
import { packages } from './packages';

/** What an entry point exports: names that exist when the program runs, and types. */
export interface EntryPoint {
  readonly values: string[];
  readonly types: string[];
}

/** Every entry point of every package (`@cm/fid/node`), read from the built declarations. */
export function entryPoints(): Record<string, EntryPoint> {
  const files = packages.flatMap(({ folder, manifest }) =>
    Object.entries(manifest.exports).map(
      ([path, { types }]) => [`${manifest.name}${path.slice(1)}`, join(folder, types)] as const,
    ),
  );
  const options = {
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    module: ts.ModuleKind.ESNext,
    skipLibCheck: true,
  };
  const program = ts.createProgram(
    files.map(([, file]) => file),
    options,
  );
  const checker = program.getTypeChecker();
  return Object.fromEntries(
    files.map(([name, file]) => {
      const source = program.getSourceFile(file);
      const module = source && checker.getSymbolAtLocation(source);
      if (!module) throw new Error(`entryPoints: ${file} exports nothing, expected what pnpm build makes`);
      const values: string[] = [];
      const types: string[] = [];
      for (const symbol of checker.getExportsOfModule(module)) {
        const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
        (target.flags & ts.SymbolFlags.Value ? values : types).push(symbol.name);
      }
      return [name, { values: values.sort(), types: types.sort() }];
    }),
  );
}
