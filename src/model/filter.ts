/** A filter sees an exchange at fixed phases; see docs/life-of-a-request.md. Filled in by the data plane. */
export type Filter = { readonly name: string }
