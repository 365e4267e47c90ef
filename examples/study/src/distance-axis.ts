/** Where an axis of distances has its ticks: those of a logarithmic scale are too few below a decade. */
export const distanceTicks: number[] = [10, 15, 20, 25, 30, 40, 50, 60, 80, 100, 150, 200, 300, 400, 600, 800];
