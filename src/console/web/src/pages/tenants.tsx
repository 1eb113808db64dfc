/** Tenants and their keys: the operator's alone. A secret is shown once. */
import { useState } from 'preact/hooks';
import { call } from '../api/client';
import type { Paged, Tenant } from '../api/types';
import { has } from '../api/spec';
import { useCall } from '../hooks';
import { t, word } from '../i18n';
import { Dialog, FormDialog } from '../ui/dialog';
import { Button, Copyable, TextField } from '../ui/form';
import { when } from '../ui/format';
import { Facts, Head } from '../ui/head';
import { Badge, Empty, note } from '../ui/show';
import { List, paging, type Column } from '../ui/table';
import { QuotaDialog } from './quota';

interface Made { UserId: string; UserAccessKeyId: string; UserAccessKeySecret: string }

const TONES = ['calm', 'warn', 'good', 'bad'];

export function Tenants() {
  const { PageNum, PageSize } = paging();
  const loaded = useCall<Paged & { Tenants: Tenant[] }>('DescribeTenants', { PageNum, PageSize });
  const [making, setMaking] = useState(false);
  const [made, setMade] = useState<Made | null>(null);
  const [limiting, setLimiting] = useState('');
  const [asking, setAsking] = useState<{ action: string; user: string } | null>(null);
  const columns: Column<Tenant>[] = [
    { title: t('tenant.user'), cell: (x) => <code class="strong">{x.UserId}</code> },
    { title: t('ui.status'), cell: (x) => <Badge tone={TONES[x.Status] ?? 'calm'}>{word('tenant.status', String(x.Status))}</Badge> },
    { title: t('tenant.keys'), minor: true, cell: (x) => x.AccessKeyIds.map((key) => <code key={key}>{key} </code>) },
    { title: t('ui.created'), minor: true, cell: (x) => when(x.CreatedTime) },
    {
      title: '',
      cell: (x) => (
        <span class="row end">
          {has('SetTenantQuota') && <Button small onClick={() => setLimiting(x.UserId)}>{t('quota.show')}</Button>}
          {x.Status === 2 && <Button small onClick={() => setAsking({ action: 'SuspendMtsService', user: x.UserId })}>{t('tenant.suspend')}</Button>}
          {x.Status === 1 && <Button small kind="primary" onClick={() => setAsking({ action: 'RenewMtsService', user: x.UserId })}>{t('tenant.renew')}</Button>}
          {x.Status !== 3 && <Button small kind="quiet" icon="trash" label={t('tenant.close')} onClick={() => setAsking({ action: 'DeleteMtsService', user: x.UserId })} />}
        </span>
      ),
    },
  ];
  return (
    <>
      <Head title={t('page.tenants')} text={t('tenants.text')}>
        <Button kind="primary" icon="add" onClick={() => setMaking(true)}>{t('tenant.new')}</Button>
      </Head>
      <List caption={t('page.tenants')} loaded={loaded} columns={columns} rows={(d: { Tenants: Tenant[] }) => d.Tenants} rowKey={(x) => x.UserId} empty={<Empty icon="tenants" title={t('tenants.none')} text={t('tenants.noneText')} />} />
      {making && <NewTenant onClose={() => setMaking(false)} onDone={(x) => { setMaking(false); setMade(x); loaded.reload(); }} />}
      {made && (
        <Dialog title={t('tenant.made')} onClose={() => setMade(null)}>
          <div class="body">
            <p class="tip">{t('tenant.once')}</p>
            <Facts rows={[[t('tenant.user'), <code>{made.UserId}</code>], ['AccessKeyId', <Copyable text={made.UserAccessKeyId} />], ['AccessKeySecret', <Copyable text={made.UserAccessKeySecret} secret />]]} />
          </div>
          <footer><Button kind="primary" onClick={() => setMade(null)}>{t('tenant.kept')}</Button></footer>
        </Dialog>
      )}
      {limiting && <QuotaDialog key={limiting} user={limiting} onClose={() => setLimiting('')} />}
      {asking && (
        <FormDialog title={t('tenant.ask', { what: word('tenant.ask', asking.action), user: asking.user })} submit={word('tenant.ask', asking.action)} danger={asking.action !== 'RenewMtsService'} onClose={() => setAsking(null)} onSubmit={async () => { await call(asking.action, { UserId: asking.user }); note(t('ui.saved')); loaded.reload(); }}>
          <p>{word('tenant.text', asking.action)}</p>
        </FormDialog>
      )}
    </>
  );
}

/** Ids of tenants are 32 letters and digits. */
const userId = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, '0')).join('');

function NewTenant({ onClose, onDone }: { onClose: () => void; onDone: (made: Made) => void }) {
  const [user, setUser] = useState(userId);
  const [key, setKey] = useState('');
  const [secret, setSecret] = useState('');
  const submit = async () => onDone(await call<Made>('CreateMtsService', { UserId: user, AccessInfo: JSON.stringify({ AccessKeyId: key || 'none', AccessKeySecret: secret || 'none' }) }));
  return (
    <FormDialog title={t('tenant.new')} submit={t('ui.create')} stay onClose={onClose} onSubmit={submit}>
      <TextField label={t('tenant.user')} value={user} onChange={setUser} required mono />
      <TextField label={t('tenant.bucketKey')} value={key} onChange={setKey} mono autocomplete="off" hint={t('tenant.bucketHint')} />
      <TextField label={t('tenant.bucketSecret')} value={secret} onChange={setSecret} type="password" mono autocomplete="new-password" />
    </FormDialog>
  );
}
