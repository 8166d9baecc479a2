// The oracle is the plugin's: expected strings are those of its documentation (docs/sources/query-editor.md, template-variables.md) and
// of its own tests (pkg/macros/macros_test.go, src/data/CHDatasource.test.ts) at 4.20.0.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { expand } from './macros.js'
import { ALL, conditionalAll, interpolate } from './variables.js'

const range = { from: Date.parse('2014-11-12T11:45:26.123Z'), to: Date.parse('2015-11-12T11:45:26.456Z'), interval: 20_000 }
const same = (given: string, wanted: string, interval = 20_000) => assert.equal(expand(given, { ...range, interval }), wanted)

test('filters', () => {
  same('$__dateFilter(dateCol)', "dateCol >= toDate('2014-11-12') AND dateCol <= toDate('2015-11-12')")
  same('select * from foo where $__timeFilter(cast(sth as timestamp))',
    'select * from foo where cast(sth as timestamp) >= toDateTime(1415792726) AND cast(sth as timestamp) <= toDateTime(1447328726)')
  same('select * from foo where $__timeFilter(cast(sth as timestamp) )',
    'select * from foo where cast(sth as timestamp) >= toDateTime(1415792726) AND cast(sth as timestamp) <= toDateTime(1447328726)')
  same('select * from foo where $__timeFilter_ms(cast(sth as timestamp))',
    'select * from foo where cast(sth as timestamp) >= fromUnixTimestamp64Milli(1415792726123) AND cast(sth as timestamp) <= fromUnixTimestamp64Milli(1447328726456)')
  const both = "(dateCol >= toDate('2014-11-12') AND dateCol <= toDate('2015-11-12')) AND (timeCol >= toDateTime(1415792726) AND timeCol <= toDateTime(1447328726))"
  same('$__dateTimeFilter(dateCol, timeCol)', both)
  same('$__dt(dateCol, timeCol)', both)
  same('$__timeFrom(ts)', 'ts >= toDateTime(1415792726)')
  same('$__timeTo(ts)', 'ts <= toDateTime(1447328726)')
})

test('times and intervals', () => {
  same('select * from foo where ( date >= $__fromTime ) and ( date <= $__toTime ) limit 100',
    'select * from foo where ( date >= toDateTime(1415792726) ) and ( date <= toDateTime(1447328726) ) limit 100')
  same('select * from foo where ( date >= $__fromTime_ms and date <= $__toTime_ms ) limit 100',
    'select * from foo where ( date >= fromUnixTimestamp64Milli(1415792726123) and date <= fromUnixTimestamp64Milli(1447328726456) ) limit 100')
  same('$__timeInterval(col)', 'toStartOfInterval(toDateTime(col), INTERVAL 20 second)')
  same('$__timeInterval_ms(col)', 'toStartOfInterval(toDateTime64(col, 3), INTERVAL 20000 millisecond)')
  same('$__interval_s', '20')
  same('$__interval_s', '1', 10)
  same('$__timeGroup(ts, 5m)', 'toStartOfInterval(toDateTime(ts), INTERVAL 300 second)')
  same('$__timeGroup(ts, 1h)', 'toStartOfInterval(toDateTime(ts), INTERVAL 3600 second)')
})

test('a macro in the argument of another one', () => {
  same('SELECT $__timeInterval($__fromTime) AS from_time',
    'SELECT toStartOfInterval(toDateTime(toDateTime(1415792726)), INTERVAL 60 second) AS from_time', 60_000)
  same('select * from foo where $__timeFilter(coalesce(closed_at, $__toTime))',
    'select * from foo where coalesce(closed_at, toDateTime(1447328726)) >= toDateTime(1415792726) AND coalesce(closed_at, toDateTime(1447328726)) <= toDateTime(1447328726)')
})

test('quotes and comments', () => {
  same("select * from foo where msg = 'it\\'s -- fine' and $__fromTime", "select * from foo where msg = 'it\\'s -- fine' and toDateTime(1415792726)")
  same("select * from foo where msg = 'a\\'/*x' and $__toTime", "select * from foo where msg = 'a\\'/*x' and toDateTime(1447328726)")
  same("select * from foo where msg = 'it''s' and $__fromTime", "select * from foo where msg = 'it''s' and toDateTime(1415792726)")
  same("SELECT `it's` AS x, msg FROM t WHERE msg = 'a--b' AND $__timeFilter(ts)",
    "SELECT `it's` AS x, msg FROM t WHERE msg = 'a--b' AND ts >= toDateTime(1415792726) AND ts <= toDateTime(1447328726)")
  same('SELECT `a--b`, `c/*d` FROM t WHERE $__fromTime', 'SELECT `a--b`, `c/*d` FROM t WHERE toDateTime(1415792726)')
  same('SELECT $doc$a--b$doc$ AS x FROM t WHERE $__toTime', 'SELECT $doc$a--b$doc$ AS x FROM t WHERE toDateTime(1447328726)')
  same('SELECT 1 -- $__timeFilter()\n/* $__dt(a) */', 'SELECT 1 \n')
})

test('what is not known stays, a wrong number of arguments is an error', () => {
  same('SELECT $__time(timestamp), $symbol', 'SELECT $__time(timestamp), $symbol')
  const wrong = ['$__timeFilter()', '$__dateTimeFilter(d)', '$__timeInterval', '$__timeGroup(ts)', '$__timeGroup(ts, nope)', '$__timeFrom()']
  for (const sql of wrong) assert.throws(() => expand(sql, range), Error, sql)
})

test('$__conditionalAll', () => {
  const sql = 'select stuff from table where $__conditionalAll(fieldVal in ($fieldVal), $fieldVal) and $__conditionalAll(fieldVal in ($fieldVal2), $fieldVal2);'
  assert.equal(conditionalAll(sql, { fieldVal: { value: [ALL], text: 'All' }, fieldVal2: { value: ['a'], text: 'a' } }),
    'select stuff from table where 1=1 and fieldVal in ($fieldVal2);')
  assert.equal(conditionalAll('$__conditionalAll(a in (${a:singlequote}), $a)', { a: { value: '', text: 'All' } }), '1=1')
})

test('variables', () => {
  const selection = {
    database: { value: 'default', text: 'default' }, several: { value: ['a', "b'c"], text: ['A', 'B'] },
    all: { value: [ALL], text: 'All', every: ['x', 'y'] }
  }
  const becomes = (given: string, wanted: string) => assert.equal(interpolate(given, selection), wanted)
  becomes('SELECT name FROM system.tables WHERE database = ${database:singlequote}', "SELECT name FROM system.tables WHERE database = 'default'")
  becomes('database IN (${several:singlequote})', "database IN ('a','b\\'c')")
  becomes("'$database' $several [[database]] ${several:sqlstring} ${several:csv} ${several:text}",
    "'default' 'a','b'c' default 'a','b''c' a,b'c A + B")
  becomes('IN (${all:singlequote})', "IN ('x','y')")
  becomes('$__timeFilter(x) $databases ${unknown:csv} ', '$__timeFilter(x) $databases ${unknown:csv} ')
})
