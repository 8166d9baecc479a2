// The lengths of bars in a chain. Pure.

import type { Chain, Leg } from '../messages.ts'

export interface Limits {
  /** The largest open interest of a leg; at least 1. */
  openInterest: number
  /** Where a volatility lies between the least and the largest that are near the money, 0 to 1. */
  volatilityShare: (volatility: number | null) => number
}

/** Strikes on either side of the money whose volatilities set the scale: those far away are wild. */
const NEAR = 20

export function limits(chain: Chain): Limits {
  const legs = chain.strikes.flatMap(({ call, put }) => [call, put]).filter((leg): leg is Leg => leg !== null)
  const money = chain.strikes.findIndex(({ strike }) => strike === chain.at_the_money)
  const near = money < 0 ? chain.strikes : chain.strikes.slice(Math.max(0, money - NEAR), money + NEAR + 1)
  const volatilities = near
    .flatMap(({ call, put }) => [call?.implied_volatility, put?.implied_volatility])
    .filter((value): value is number => typeof value === 'number')
  const least = Math.min(...volatilities)
  const span = Math.max(...volatilities) - least
  return {
    openInterest: Math.max(1, ...legs.map((leg) => leg.open_interest ?? 0)),
    // the least one has a short bar, so that it is not taken for a missing one
    volatilityShare: (value) => (value === null ? 0 : span > 0 ? 0.1 + 0.9 * ((value - least) / span) : 0.5),
  }
}
