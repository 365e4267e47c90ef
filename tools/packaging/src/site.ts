// A plugin of typedoc. The guides are written for GitHub, where a symbol's link leads to its source and a page is called by its file; the site has
// pages for both.
import { readFileSync } from 'node:fs';
import {
  type Application,
  type CommentDisplayPart,
  type DeclarationReflection,
  type ProjectReflection,
  type Reflection,
  RendererEvent,
} from 'typedoc';

const folders: Readonly<Record<string, string>> = { guides: 'Guides', decisions: 'Decisions', examples: 'Examples' };

export function load(app: Application): void {
  app.renderer.on(RendererEvent.BEGIN, ({ project }) => {
    const modules = project.children ?? [];
    for (const document of project.documents ?? []) {
      linkSymbols(project, document.content, (message) => app.logger.error(`${document.name}: ${message}`));
      const folder = Object.keys(folders).find((name) => document.name.split('/').includes(name));
      document.name = `${folder ? `${folders[folder]}/` : ''}${withoutTitle(document.content, false)}`;
    }
    // Their pages begin with the name already.
    for (const { readme } of [project, ...modules]) if (readme) withoutTitle(readme, true);
  });
}

/** The title that a page begins with, taken out of it if so wished. */
function withoutTitle(content: readonly CommentDisplayPart[], remove: boolean): string {
  const [first] = content;
  const title = /^# (.*)\n+/.exec(first?.text ?? '');
  if (!first || !title) throw new Error(`${first?.text.slice(0, 40)}: expected a title, # …`);
  if (remove) first.text = first.text.slice(title[0].length);
  return title[1]!;
}

/** Turns [`name`](…/packages/x/src/file.ts) into a link to the symbol's page; fails where the file does not have it. */
function linkSymbols(project: ProjectReflection, content: CommentDisplayPart[], fail: (message: string) => void): void {
  for (let i = 0; i < content.length; i++) {
    const part = content[i]!;
    if (part.kind !== 'relative-link' || part.target === undefined) continue;
    const path = project.files.resolvePath(part.target);
    const name = /\/packages\/([^/]+)\/src\/.*\.ts$/.exec(path ?? '')?.[1];
    if (!path || !name) continue;
    const [open, code, close, after] = [content[i - 3], content[i - 2], content[i - 1], content[i + 1]];
    const symbol = code?.kind === 'code' ? code.text.replaceAll('`', '') : '';
    const declared = new RegExp(`^export (async )?(function\\*?|const|class|interface|type) ${symbol}\\b`, 'm');
    const target = symbol && declared.test(readFileSync(path, 'utf8')) && exported(project, `@cm/${name}`, symbol);
    if (!target || !open?.text.endsWith('[') || close?.text !== '](' || !after?.text.startsWith(')')) {
      fail(`the link to ${part.text} has no exported symbol of that file as its text`);
      continue;
    }
    project.files.registerReflectionPath(path as Parameters<typeof project.files.registerReflectionPath>[0], target);
    open.text = open.text.slice(0, -1);
    after.text = after.text.slice(1);
    content.splice(i - 2, 3, { kind: 'inline-tag', tag: '@linkcode', text: symbol, target });
    i -= 2;
  }
}

function exported(project: ProjectReflection, module: string, symbol: string): Reflection | undefined {
  const entry = project.children?.find(({ name }) => name === module);
  const all = entry?.children?.flatMap((child): DeclarationReflection[] => [child, ...(child.children ?? [])]) ?? [];
  return all.find(
    ({ name, parent }) =>
      name === symbol && (parent === entry || entry?.children?.includes(parent as DeclarationReflection)),
  );
}
