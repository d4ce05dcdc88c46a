/** Whether a process of a gateway is there: what the client asks before anything else. Which gateway it is of, every answer says. */
import type { Command } from '../command.ts'
import { nothing } from '../input.ts'

export const ping: Command<null, null, number> = {
  name: 'ping',
  role: 'view',
  asks: 'every',
  input: nothing,
  run: () => null,
  merge: replies => replies.length,
}
