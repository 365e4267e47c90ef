/** The name among `names` that takes the fewest changed, added or removed letters to become: what someone who mistyped may have meant. */
export function nearest(name: string, names: readonly string[]): string | undefined {
  const letters = (text: string) => text.toLowerCase();
  const found = names.map((other) => ({ other, distance: editDistance(letters(name), letters(other)) }));
  return found.sort((a, b) => a.distance - b.distance)[0]?.other;
}

/** Levenshtein's distance. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const changed = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(changed, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
