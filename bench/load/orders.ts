/**
 * 13.4 kB of JSON as an API gives a page of orders: numbers and dates that differ, names that come back, notes in words. The same
 * bytes in each run; gzip makes about 3 kB of them.
 */

const words = (
  'the parcel was left with a neighbour on second floor customer asked for invoice in paper and will call again ' +
  'tomorrow please deliver before noon ring twice gate code changed return label enclosed size too small wants blue instead of red'
).split(' ')
const names = 'Anna Bert Carla Dmitri Eve Farid Grete Hugo Ines Jan'.split(' ')
const statuses = ['paid', 'open', 'shipped', 'returned']
const firstDay = Date.UTC(2026, 0, 1)

export function ordersJson(): string {
  let state = 12_345
  const below = (count: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return Math.floor((state / 2 ** 32) * count)
  }
  const pick = (list: readonly string[]) => list[below(list.length)]
  const order = (at: number) => ({
    id: 48_211 + at * 3,
    customer: {
      name: `${pick(names)} ${pick(names)}`,
      email: `${pick(names).toLowerCase()}${below(1000)}@example.com`,
    },
    status: pick(statuses),
    total: below(100_000) / 100,
    currency: 'EUR',
    created: new Date(firstDay + below(1e9)).toISOString(),
    note: Array.from({ length: below(9) }, () => pick(words)).join(' '),
  })
  const orders: ReturnType<typeof order>[] = []
  while (JSON.stringify({ orders }).length < 13_300) orders.push(order(orders.length))
  return JSON.stringify({ orders })
}
