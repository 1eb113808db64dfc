/** How to push a stream: for ffmpeg and for OBS, ready to be copied. */
import { useCall } from '../hooks';
import type { Stream } from '../api/types';
import { t } from '../i18n';
import { link } from '../router';
import { Dialog } from '../ui/dialog';
import { Button, Copyable, LinkButton } from '../ui/form';
import { Facts } from '../ui/head';
import { Badge } from '../ui/show';

export function PushUrl({ url, id, onClose }: { url: string; id: string; onClose: () => void }) {
  return (
    <Dialog title={t('push.title')} onClose={onClose} wide>
      <div class="body"><PushHelp url={url} id={id} /></div>
      <footer>
        <Button onClick={onClose}>{t('ui.close')}</Button>
        <LinkButton kind="primary" href={link('streams', id)}>{t('push.watch')}</LinkButton>
      </footer>
    </Dialog>
  );
}

/** OBS wants the address in two parts, the second with the signature. */
export function PushHelp({ url, id }: { url: string; id: string }) {
  const at = url.indexOf('/', url.indexOf('://') + 3);
  const cut = url.indexOf('/', at + 1);
  const { data } = useCall<Stream>('DescribeStream', { Id: id }, 2000);
  return (
    <>
      <p class="row">
        <Badge status={data?.Status ?? 'off'}>{data?.Status === 'on' ? t('push.here') : t('push.waiting')}</Badge>
      </p>
      <h3>{t('push.url')}</h3>
      <Copyable text={url} />
      <h3>FFmpeg</h3>
      <Copyable text={`ffmpeg -re -stream_loop -1 -i input.mp4 -c:v libx264 -preset veryfast -tune zerolatency -bf 0 -g 50 -c:a aac -f flv "${url}"`} />
      <p class="hint">{t('push.test')}</p>
      <Copyable text={`ffmpeg -re -f lavfi -i testsrc2=size=1280x720:rate=25 -f lavfi -i sine=frequency=440 -c:v libx264 -preset veryfast -tune zerolatency -bf 0 -g 50 -pix_fmt yuv420p -c:a aac -f flv "${url}"`} />
      <h3>OBS Studio</h3>
      <Facts rows={[[t('push.service'), t('push.custom')], [t('push.server'), <Copyable text={url.slice(0, cut)} />], [t('push.key'), <Copyable text={url.slice(cut + 1)} secret />]]} />
    </>
  );
}
