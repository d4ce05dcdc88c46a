/** An upstream is a set of endpoints that can stand in for each other. What it is made of belongs to the data plane (proxy/upstream). */
export interface Upstream {
  /** As in the configuration; also where it stands there, if it has no name */
  readonly name: string
}
