/** A value, or a promise of it. */
export type Awaitable<T> = T | PromiseLike<T>

/** Calls `next` with the value, at once unless it is a promise: makes a promise only if there was one before. */
export function andThen<T, R>(value: Awaitable<T>, next: (value: T) => Awaitable<R>): Awaitable<R> {
  return isPromise(value) ? value.then(next) : next(value)
}

export function isPromise<T>(value: Awaitable<T>): value is PromiseLike<T> {
  return typeof value === 'object' && value !== null && typeof (value as PromiseLike<T>).then === 'function'
}
