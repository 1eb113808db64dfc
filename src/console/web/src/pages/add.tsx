/** The first steps: a camera that registers here, or a stream that is pushed here. */
import { useState } from 'preact/hooks';
import { call } from '../api/client';
import type { Device, Group } from '../api/types';
import { ApiError } from '../api/client';
import { asError, useCall } from '../hooks';
import { t, word } from '../i18n';
import { link, place, refine } from '../router';
import { Button, LinkButton, SelectField, TextField } from '../ui/form';
import { Head } from '../ui/head';
import { Icon } from '../ui/icon';
import { Badge, ErrorBox } from '../ui/show';
import { SipValues } from './group';
import { useGroups } from './pick';
import { PushHelp } from './push-url';

export function Add() {
  const what = place.value.query.get('what');
  return (
    <>
      <Head title={t('page.add')} text={t('add.text')} />
      <div class="choices" role="group" aria-label={t('page.add')}>
        <button type="button" aria-pressed={what === 'camera'} onClick={() => refine({ what: 'camera' })}>
          <Icon name="devices" size={26} />
          <strong>{t('add.camera')}</strong>
          <span>{t('add.cameraText')}</span>
        </button>
        <button type="button" aria-pressed={what === 'push'} onClick={() => refine({ what: 'push' })}>
          <Icon name="up" size={26} />
          <strong>{t('add.push')}</strong>
          <span>{t('add.pushText')}</span>
        </button>
      </div>
      {what === 'camera' && <Camera />}
      {what === 'push' && <Push />}
    </>
  );
}

const NEW = 'new';

/** The group to add to: one of those that there are, or a new one. */
function useGroupChoice(protocol: 'gb28181' | 'rtmp') {
  const { data } = useGroups(protocol);
  const asked = place.value.query.get('group') ?? '';
  const [chosen, setChosen] = useState('');
  const [name, setName] = useState('');
  const groups = data?.Groups ?? [];
  const id = chosen || (groups.some((g) => g.Id === asked) ? asked : (groups[0]?.Id ?? NEW));
  const fields = (
    <>
      <SelectField label={t('group.one')} value={id} onChange={setChosen} options={[...groups.map((g) => ({ value: g.Id, label: g.Name })), { value: NEW, label: t('add.newGroup') }]} hint={t('add.groupHint')} />
      {id === NEW && <TextField label={t('group.name')} value={name} onChange={setName} required placeholder={word('add.groupName', protocol)} />}
    </>
  );
  const settle = async (): Promise<string> => {
    if (id !== NEW) return id;
    const app = protocol === 'rtmp' ? 'push' : 'live';
    const made = await call<{ Id: string }>('CreateGroup', { Name: name, App: app, InProtocol: protocol, OutProtocol: 'rtmp,flv,hls' });
    return made.Id;
  };
  return { fields, settle };
}

function password(): string {
  const letters = 'abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789';
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (b) => letters[b % letters.length]).join('');
}

interface Made {
  group: Group;
  device: string;
  code: string;
  password: string;
}

function Camera() {
  const { fields, settle } = useGroupChoice('gb28181');
  const [name, setName] = useState('');
  const [code, setCode] = useState('34020000001320000001');
  const [secret, setSecret] = useState(password);
  const [made, setMade] = useState<Made | null>(null);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      const id = await settle();
      const device = await call<{ Id: string }>('CreateDevice', { GroupId: id, Name: name, Type: 'ipc', GbId: code, Username: code, Password: secret, AutoStart: true });
      setMade({ group: await call<Group>('DescribeGroup', { Id: id }), device: device.Id, code, password: secret });
    } catch (e) {
      setError(asError(e));
    }
    setBusy(false);
  };
  if (made) return <CameraMade made={made} onMore={() => { setMade(null); setSecret(password()); setCode(next(made.code)); setName(''); }} />;
  return (
    <form class="card narrow" onSubmit={(e) => void submit(e)}>
      <h2>{t('add.camera')}</h2>
      <div class="fields">
        {fields}
        <TextField label={t('device.name')} value={name} onChange={setName} required placeholder={t('add.cameraName')} />
        <TextField label={t('device.code')} value={code} onChange={setCode} required pattern="[0-9]{20}" maxLength={20} mono hint={t('device.codeHint')} />
        <TextField label={t('sip.password')} value={secret} onChange={setSecret} required mono maxLength={64} autocomplete="off" />
      </div>
      {error && <ErrorBox error={error} />}
      <footer><Button type="submit" kind="primary" busy={busy}>{t('add.makeCamera')}</Button></footer>
    </form>
  );
}

/** The code that follows: its last digits are a number. */
function next(code: string): string {
  return code.slice(0, 13) + String((Number(code.slice(13)) + 1) % 10_000_000).padStart(7, '0');
}

function CameraMade({ made, onMore }: { made: Made; onMore: () => void }) {
  const { data } = useCall<Device>('DescribeDevice', { Id: made.device }, 2000);
  const on = data?.Status === 'on';
  return (
    <>
      <p class={`tip row${on ? ' good' : ''}`}>
        <Badge status={data?.Status ?? 'new'}>{word('device.status', data?.Status ?? 'new')}</Badge>
        <span>{on ? t('add.cameraOn') : data?.Status === 'failed' ? t('device.failedTip') : t('add.cameraWaits')}</span>
        <span class="spring" />
        <LinkButton kind={on ? 'primary' : 'plain'} href={link('devices', made.device)}>{t('add.toDevice')}</LinkButton>
        <Button onClick={onMore}>{t('add.another')}</Button>
      </p>
      <SipValues group={made.group} device={made.code} password={made.password} />
      <section class="card">
        <h2>{t('add.try')}</h2>
        <p class="muted">{t('add.tryText')}</p>
        <pre><code>{`weir camera --server ${made.group.GbIp}:${made.group.GbUdpPort ?? 5060} --domain ${made.group.GbId} --id ${made.code} --password ${made.password}`}</code></pre>
      </section>
    </>
  );
}

function Push() {
  const { fields, settle } = useGroupChoice('rtmp');
  const [name, setName] = useState('');
  const [made, setMade] = useState<{ url: string; id: string } | null>(null);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      const answer = await call<{ PushUrl: string; StreamId: string }>('CreateRtmpGroupStreamurl', { Id: await settle(), Name: name });
      setMade({ url: answer.PushUrl, id: answer.StreamId });
    } catch (e) {
      setError(asError(e));
    }
    setBusy(false);
  };
  if (made) {
    return (
      <section class="card narrow">
        <PushHelp url={made.url} id={made.id} />
        <footer>
          <Button onClick={() => { setMade(null); setName(''); }}>{t('add.another')}</Button>
          <LinkButton kind="primary" href={link('streams', made.id)}>{t('push.watch')}</LinkButton>
        </footer>
      </section>
    );
  }
  return (
    <form class="card narrow" onSubmit={(e) => void submit(e)}>
      <h2>{t('add.push')}</h2>
      <div class="fields">
        {fields}
        <TextField label={t('stream.name')} value={name} onChange={setName} required placeholder={t('add.streamName')} />
      </div>
      {error && <ErrorBox error={error} />}
      <footer><Button type="submit" kind="primary" busy={busy}>{t('add.makeStream')}</Button></footer>
    </form>
  );
}

