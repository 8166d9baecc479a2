// Grafana's published types as they stand in a JSON file: a string enum there is one of its values here.

/** `T` as JSON has it. */
export type Plain<T> =
  unknown extends T ? T
  : T extends string ? `${T}`
  : T extends number | boolean | null | undefined ? T
  : T extends (infer Item)[] ? Plain<Item>[]
  : { [Key in keyof T]: Plain<T[Key]> }
