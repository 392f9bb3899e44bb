/** First in, first out. Taking the first off a long array would move the rest each time. */
export class Line<T> {
  private list: T[] = []
  /** Where the first is that is still there. */
  private next = 0

  get length(): number {
    return this.list.length - this.next
  }

  push(its: T): void {
    this.list.push(its)
  }

  shift(): T | undefined {
    if (this.length === 0) return undefined
    const its = this.list[this.next++]
    if (2 * this.next >= this.list.length) {
      this.list = this.list.slice(this.next)
      this.next = 0
    }
    return its
  }
}
