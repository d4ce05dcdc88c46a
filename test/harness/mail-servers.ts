/** A real Postfix and a real Dovecot of a test's own: mail for alice@example.com goes from one to the other. Root only. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { freePort, listening } from './ports.ts'

function has(command: string): boolean {
  try {
    execFileSync('sh', ['-c', `PATH=$PATH:/usr/sbin command -v ${command}`], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** What of it is missing, for a skipped test */
export const mailMissing: string | false =
  process.getuid?.() !== 0
    ? 'Postfix and Dovecot are started by root alone'
    : (['postfix', 'dovecot', 'curl'].filter(command => !has(command)).map(each => `${each} is not installed`)[0] ??
      false)

export type MailServers = {
  /** Expects a PROXY header */
  readonly smtp: number
  /** Expects a PROXY header */
  readonly imap: number
  readonly pop3: number
  /** What Postfix has logged */
  postfixLog(): string
  stop(): Promise<void>
}

export async function startMailServers(): Promise<MailServers> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'sallyport-mail-'))
  chmodSync(folder, 0o755)
  for (const name of ['etc', 'queue', 'data', 'mail', 'run', 'state']) mkdirSync(path.join(folder, name))
  execFileSync('chown', ['nobody', path.join(folder, 'mail')])
  execFileSync('chown', ['postfix', path.join(folder, 'data')])
  const ports = { smtp: await freePort(), imap: await freePort(), pop3: await freePort() }
  const nobody = { user: idOf('-u'), group: idOf('-g') }
  writeFileSync(path.join(folder, 'etc/main.cf'), mainCf(folder, nobody))
  writeFileSync(path.join(folder, 'etc/master.cf'), masterCf(ports.smtp))
  writeFileSync(path.join(folder, 'dovecot.conf'), dovecotConf(folder, ports))
  const env = { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin` }
  const postfix = spawn('postfix', ['-c', path.join(folder, 'etc'), 'start-fg'], { env, stdio: 'ignore' })
  const dovecot = spawn('dovecot', ['-F', '-c', path.join(folder, 'dovecot.conf')], { env, stdio: 'ignore' })
  await Promise.all(Object.values(ports).map(listening))
  return {
    ...ports,
    postfixLog: () => readFileSync(path.join(folder, 'log'), 'utf8'),
    async stop() {
      const gone = Promise.all([once(postfix, 'exit'), once(dovecot, 'exit')])
      execFileSync('postfix', ['-c', path.join(folder, 'etc'), 'stop'], { env, stdio: 'ignore' })
      dovecot.kill()
      await gone
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

const idOf = (flag: string): string => execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }).trim()

const mainCf = (folder: string, nobody: { readonly user: string; readonly group: string }) => `
compatibility_level = 3.6
queue_directory = ${folder}/queue
data_directory = ${folder}/data
maillog_file = ${folder}/log
maillog_file_prefixes = ${path.dirname(folder)}
mail_owner = postfix
setgid_group = postdrop
myhostname = mx.example.com
mydestination =
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
virtual_mailbox_domains = example.com
virtual_mailbox_base = ${folder}/mail
virtual_mailbox_maps = static:alice/
virtual_uid_maps = static:${nobody.user}
virtual_gid_maps = static:${nobody.group}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
`

const masterCf = (port: number) => `
127.0.0.1:${port} inet n - n - - smtpd
  -o smtpd_upstream_proxy_protocol=haproxy
  -o smtpd_tls_security_level=none
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
proxymap unix - - n - - proxymap
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
`

const dovecotConf = (folder: string, { imap, pop3 }: { readonly imap: number; readonly pop3: number }) => `
base_dir = ${folder}/run
state_dir = ${folder}/state
log_path = ${folder}/dovecot.log
protocols = imap pop3
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
haproxy_trusted_networks = 127.0.0.1
default_login_user = nobody
default_internal_user = nobody
default_internal_group = nogroup
first_valid_uid = 1
mail_location = maildir:${folder}/mail/alice
service imap-login {
  chroot =
  inet_listener imap {
    port = ${imap}
    haproxy = yes
  }
  inet_listener imaps {
    port = 0
  }
}
service pop3-login {
  chroot =
  inet_listener pop3 {
    port = ${pop3}
  }
  inet_listener pop3s {
    port = 0
  }
}
passdb {
  driver = static
  args = password=secret
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=${folder}/mail
}
`
