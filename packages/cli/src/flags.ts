/** Reads a flag that is a whole number from `least`. @throws Error naming the flag */
export function whole(name: string, least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !(Number.isSafeInteger(value) && value >= least)) {
      throw new Error(`--${name} is ${text}, expected a whole number from ${least}`);
    }
    return value;
  };
}

/** Reads a flag that is a finite number. @throws Error naming the flag */
export function number(name: string): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !Number.isFinite(value)) throw new Error(`--${name} is ${text}, expected a number`);
    return value;
  };
}

/** Reads a flag that is whole numbers from 1, with commas. @throws Error naming the flag */
export const wholes = (name: string) => (text: string) => text.split(',').map(whole(name, 1));
