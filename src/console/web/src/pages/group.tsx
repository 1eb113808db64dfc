/** One group: what to type into cameras, where to push to, and its streams. */
import { useState } from 'preact/hooks';
import { call } from '../api/client';
import type { Group } from '../api/types';
import { useCall } from '../hooks';
import { t, word } from '../i18n';
import { link } from '../router';
import { FormDialog } from '../ui/dialog';
import { Button, Copyable, LinkButton, TextField } from '../ui/form';
import { count, when } from '../ui/format';
import { Facts, Head } from '../ui/head';
import { Badge, Busy, ErrorBox } from '../ui/show';
import { Bindings } from './bindings';
import { GroupActions, GroupDialog, protocols } from './groups';
import { PushUrl } from './push-url';

export function GroupDetail({ id }: { id: string }) {
  const { data: group, error, reload } = useCall<Group>('DescribeGroup', { Id: id, IncludeStats: true }, 15_000);
  const [editing, setEditing] = useState(false);
  const [pushing, setPushing] = useState(false);
  if (!group) return error ? <ErrorBox error={error} retry={reload} /> : <Busy />;
  const gb = group.InProtocol === 'gb28181';
  return (
    <>
      <Head title={group.Name} text={group.Description}>
        <Badge status={group.Status} tone={group.Status === 'on' ? 'good' : 'warn'}>{word('group.status', group.Status)}</Badge>
        {gb ? <LinkButton icon="devices" href={link('devices', '', { group: id })}>{t('page.devices')}</LinkButton> : <Button icon="add" kind="primary" onClick={() => setPushing(true)}>{t('stream.new')}</Button>}
        <LinkButton icon="streams" href={link('streams', '', { group: id })}>{t('page.streams')}</LinkButton>
        <GroupActions group={group} onEdit={() => setEditing(true)} onDone={reload} />
      </Head>
      <div class="grid two">
        {gb ? <SipValues group={group} /> : <section class="card"><h2>{t('group.pushTo')}</h2><Facts rows={[[t('group.pushBase'), <Copyable text={group.PushRtmpBaseUrl} />]]} /><p class="muted">{t('group.pushText')}</p></section>}
        <section class="card">
          <h2>{t('ui.details')}</h2>
          <Facts rows={[
            ['ID', <code>{group.Id}</code>], [t('group.in'), word('protocol', group.InProtocol)], [t('group.out'), <span class="tags">{protocols(group)}</span>], [t('group.app'), <code>{group.App}</code>],
            [t('group.region'), group.Region], [t('group.callback'), group.Callback], [t('page.devices'), group.Stats && gb ? count(group.Stats.DeviceNum ?? 0) : ''],
            [t('group.lazy'), gb ? t(group.LazyPull ? 'ui.yes' : 'ui.no') : ''], [t('group.auto'), gb ? t(group.AutoRegister ? 'ui.yes' : 'ui.no') : ''], [t('ui.created'), when(group.CreatedTime)],
          ]} />
        </section>
      </div>
      <Bindings id={id} type="group" />
      {editing && <GroupDialog group={group} onClose={() => setEditing(false)} onDone={reload} />}
      {pushing && <NewStream group={group} onClose={() => setPushing(false)} />}
    </>
  );
}

/** What an installer types into the platform page of a camera. */
export function SipValues({ group, device, password }: { group: Group; device?: string; password?: string }) {
  return (
    <section class="card">
      <h2>{t('sip.title')}</h2>
      <p class="muted">{t('sip.text')}</p>
      <Facts rows={[
        [t('sip.serverId'), <Copyable text={group.GbId} />],
        [t('sip.domain'), <Copyable text={group.GbId.slice(0, 10)} />],
        [t('sip.ip'), <Copyable text={group.GbIp} />],
        [t('sip.port'), <Copyable text={String(group.GbUdpPort ?? 5060)} />],
        [t('sip.portTcp'), group.GbTcpPort !== undefined && group.GbTcpPort !== group.GbUdpPort ? <Copyable text={String(group.GbTcpPort)} /> : ''],
        [t('sip.deviceId'), device ? <Copyable text={device} /> : ''],
        [t('sip.user'), device ? <Copyable text={device} /> : ''],
        [t('sip.password'), password ? <Copyable text={password} secret /> : ''],
        [t('sip.expires'), '3600'],
        [t('sip.beat'), '60'],
      ]} />
    </section>
  );
}

export function NewStream({ group, onClose }: { group: Group; onClose: () => void }) {
  const [name, setName] = useState('');
  const [made, setMade] = useState<{ url: string; id: string } | null>(null);
  if (made) return <PushUrl url={made.url} id={made.id} onClose={onClose} />;
  return (
    <FormDialog
      title={t('stream.new')}
      submit={t('ui.create')}
      onClose={onClose}
      stay
      onSubmit={async () => {
        const answer = await call<{ PushUrl: string; StreamId: string }>('CreateRtmpGroupStreamurl', { Id: group.Id, Name: name });
        setMade({ url: answer.PushUrl, id: answer.StreamId });
      }}
    >
      <TextField label={t('stream.name')} value={name} onChange={setName} required maxLength={128} autofocus />
    </FormDialog>
  );
}
