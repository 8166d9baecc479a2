// The files around the dashboards, as far as they can be read without the programs that read them: Grafana's provisioning, the compose file.

import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { REPOSITORY } from '../source/sql.js'

const DEPLOY = join(REPOSITORY, 'deploy')
const yaml = <T>(path: string): T => parse(readFileSync(join(DEPLOY, path), 'utf8'), { merge: true }) as T

interface Service {
  image: string
  build?: unknown
  restart?: string
  network_mode?: string
  ports?: string[]
  secrets?: string[]
  environment?: Record<string, string>
  volumes?: string[]
  healthcheck?: unknown
  security_opt?: string[]
}

interface Compose {
  services: Record<string, Service>
  secrets: Record<string, { file: string }>
  volumes: Record<string, unknown>
}

test('provisioning names the data sources that dashboards ask for, and no password', () => {
  const { apiVersion, datasources } = yaml<{
    apiVersion: number
    datasources: { type: string, uid: string, editable: boolean, jsonData: Record<string, unknown>, secureJsonData?: { password: string } }[]
  }>('grafana/provisioning/datasources/tickhouse.yaml')
  assert.equal(apiVersion, 1)
  assert.deepEqual(datasources.map(({ type }) => type), ['grafana-clickhouse-datasource', 'prometheus'])
  assert.equal(datasources[0]?.jsonData['username'], 'tickhouse_reader')
  assert.match(datasources[0]?.secureJsonData?.password ?? '', /^\$\{\w+\}$/)
  const { providers: [provider] } = yaml<{ providers: { type: string, options: { path: string } }[] }>('grafana/provisioning/dashboards/tickhouse.yaml')
  assert.deepEqual([provider?.type, provider?.options.path], ['file', '${TICKHOUSE_DASHBOARDS}'])
})

test('metrics that dashboards and rules name are those that processes serve', () => {
  const served = new Set(readFileSync(join(REPOSITORY, 'docs/metrics.md'), 'utf8').match(/tickhouse_\w+/g))
  const places = ['grafana/source/metrics.ts', 'prometheus/tickhouse.rules.yml']
  for (const place of places) {
    const named = readFileSync(join(DEPLOY, place), 'utf8').match(/\btickhouse_\w+/g) ?? []
    assert.ok(named.length > 10, place)
    for (const name of new Set(named)) {
      assert.ok(served.has(name) || served.has(name.replace(/_(bucket|sum|count)$/, '')), `${place}: ${name} is served by nobody`)
    }
  }
})

test('compose: loopback only, pinned, secrets as files', () => {
  const { services, secrets, volumes } = yaml<Compose>('compose.yaml')
  assert.deepEqual(Object.keys(services).sort(), ['clickhouse', 'grafana', 'migrate', 'prometheus', 'redis', 'tickhouse'])
  const used = new Set<string>()
  for (const [name, service] of Object.entries(services)) {
    for (const port of service.ports ?? []) assert.match(port, /^127\.0\.0\.1:\d+:\d+$/, `${name} publishes ${port}`)
    if (service.image !== 'tickhouse') assert.match(service.image, /:v?\d+\.\d+/, `${name}: ${service.image} is pinned`)
    assert.ok(service.security_opt?.includes('no-new-privileges:true'), name)
    assert.ok(name === 'migrate' || service.restart === 'unless-stopped', name)
    // that of Tickhouse stands in its image
    assert.ok(name === 'tickhouse' || service.healthcheck !== undefined, name)
    for (const secret of service.secrets ?? []) {
      assert.ok(secrets[secret], `${name} uses ${secret}`)
      used.add(secret)
    }
    for (const [variable, value] of Object.entries(service.environment ?? {})) {
      if (/PASSWORD|SECRET|TOKEN/.test(variable)) assert.match(String(value), /\/run\/secrets\//, `${name}: ${variable} is a file`)
    }
    for (const volume of service.volumes ?? []) {
      const [from = ''] = volume.split(':')
      assert.ok(from.startsWith('.') || from in volumes, `${name}: ${volume}`)
    }
  }
  assert.deepEqual([...used].sort(), Object.keys(secrets).sort(), 'every secret has a use')
  const made = readFileSync(join(DEPLOY, 'make-secrets.sh'), 'utf8')
  for (const [name, { file }] of Object.entries(secrets)) {
    assert.equal(file, `./secrets/${name}`)
    assert.ok(made.includes(` ${name.replace('_password', '')}`), `make-secrets.sh makes ${name}`)
  }
})

test('what the image copies and runs is there', () => {
  const dockerfile = readFileSync(join(DEPLOY, 'Dockerfile'), 'utf8')
  const stages = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, image]) => image ?? '')
  assert.equal(stages.length, 2)
  for (const image of stages) assert.match(image, /:[\w.-]+$/, `${image} is pinned`)
  const toolchain = /channel = "(\d+\.\d+)/.exec(readFileSync(join(REPOSITORY, 'rust-toolchain.toml'), 'utf8'))?.[1]
  assert.ok(stages[0]?.startsWith(`rust:${toolchain}`), `built by the toolchain ${toolchain}`)
  assert.match(dockerfile, /^USER \d+:\d+$/m)
  assert.ok(existsSync(join(REPOSITORY, 'xtask/src/web.rs')), 'cargo xtask web')
})
