#!/bin/bash
# What `make run` does once Weir is built: the server on its embedded default, and a stream to look at.
#
#   WEIR=target/release/weir tests/demo.sh        server and demo stream; Ctrl-C ends both
#   DEMO=0 …                                      the bare server
#
# Every WEIR_… variable of the configuration works here as well, for example WEIR_HTTP__LISTEN=0.0.0.0:8081.
set -eu
cd "$(dirname "$0")/.."

weir=${WEIR:-target/release/weir}
if [ "${DEMO:-1}" = 0 ]; then
    exec "$weir" serve
fi

# A demo shows itself to everybody; a bare server shows nothing that the API does not know. The demo stream has an application
# of its own: as soon as a group of the API uses `live`, that group's rules hold there.
export WEIR_ACCESS__OPEN=${WEIR_ACCESS__OPEN:-live/*,demo/*}
http=${WEIR_HTTP__LISTEN:-0.0.0.0:8080}
rtmp=${WEIR_RTMP__LISTEN:-0.0.0.0:1935}
http=127.0.0.1:${http##*:}
rtmp=127.0.0.1:${rtmp##*:}
fixture=fixtures/media/demo.flv

children=()
end() {
    trap - EXIT INT TERM
    for child in "${children[@]}"; do kill -TERM "$child" 2>/dev/null || true; done
    wait 2>/dev/null || true
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Each in a process group of its own, so that Ctrl-C reaches them in order: through `end`.
set -m
"$weir" serve &
server=$!
children=("$server")

ready() {
    exec 3<>"/dev/tcp/${http%:*}/${http##*:}" || return 1
    printf 'GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3
    read -r answer <&3 && [[ $answer == *" 200 "* ]]
} 2>/dev/null
for _ in {1..150}; do
    kill -0 "$server" 2>/dev/null || { wait "$server"; exit $?; }
    ready && break
    sleep 0.1
done
exec 3>&- 2>/dev/null || true

"$weir" push "$fixture" "rtmp://$rtmp/demo/stream" &
children=("$!" "$server")

cat <<TEXT

  The demo stream plays here:
    ffplay rtmp://$rtmp/demo/stream
    ffplay http://$http/demo/stream.flv
    vlc    http://$http/demo/stream.m3u8
  Push your own beside it:
    ffmpeg -re -i FILE -c copy -f flv rtmp://$rtmp/live/NAME
  Call the API (reference: http://$http/reference):
    $weir api DescribeGroups
  Ctrl-C ends the server and the demo.

TEXT
wait "$server"
