/** Keys that session tickets are sealed with, as far as the transport sees them. */

export interface TicketKeys {
  /**
   * The time windows whose tickets are taken now, the present one first, which new tickets are made in. The same array
   * until a window has ended.
   */
  windows(): readonly TicketWindow[]
  /** How long a session may be taken up again at all */
  readonly lifetimeSeconds: number
}

export interface TicketWindow {
  /** 48 bytes: the name that stands in front of each ticket (16), and two keys (RFC 5077 section 4). Different for each terms. */
  key(sessionContext: string): Buffer
}
