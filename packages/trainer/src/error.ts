/** Why training could not go on: its numbers stopped being finite, or its state could not be written. */
export type TrainingFailure = 'diverged' | 'save-failed';

/** Training could not go on. The last good state is where it was; the message says which one that is. */
export class TrainingError extends Error {
  override readonly name = 'TrainingError';
  readonly failure: TrainingFailure;

  constructor(failure: TrainingFailure, message: string, options?: ErrorOptions) {
    super(message, options);
    this.failure = failure;
  }
}
