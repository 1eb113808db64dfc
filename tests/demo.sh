#!/bin/bash
# What `make run` does once Weir is built: the server on its embedded default, a stream pushed to it and a simulated GB28181 camera.
#
#   WEIR=target/release/weir tests/demo.sh        server, demo stream and camera; Ctrl-C ends all
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
sip=${WEIR_SIP__UDP_LISTEN:-0.0.0.0:5060}
sip=127.0.0.1:${sip##*:}
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

# The first value of a key in an answer of the API.
first() { grep -o "\"$1\": *\"[^\"]*\"" | head -n 1 | cut -d '"' -f 4; }

# A camera, made known by the API as a real one is. What an earlier run made is found again; the password is another each time.
camera=34020000001320000001
add_camera() {
    local groups group platform device password
    password=$(od -An -N 8 -t x1 /dev/urandom | tr -d ' \n')
    groups=$("$weir" api DescribeGroups Name=demo-cameras InProtocol=gb28181)
    group=$(first Id <<<"$groups")
    [ -n "$group" ] || group=$("$weir" api CreateGroup Name=demo-cameras App=cameras InProtocol=gb28181 OutProtocol=rtmp,flv,hls | first Id)
    platform=$("$weir" api DescribeGroup "Id=$group" | first GbId)
    device=$("$weir" api DescribeDevices "GroupId=$group" "GbId=$camera" | first Id)
    if [ -n "$device" ]; then
        "$weir" api ModifyDevice "Id=$device" "Password=$password" >/dev/null
    else
        device=$("$weir" api CreateDevice "GroupId=$group" Name=demo-camera Type=ipc "GbId=$camera" "Password=$password" AutoStart=true | first Id)
    fi
    [ -n "$platform" ] && [ -n "$device" ] || return 1
    WEIR_CAMERA_PASSWORD=$password "$weir" camera --server "$sip" --domain "$platform" --id "$camera" &
    children=("$!" "${children[@]}")
    for _ in {1..100}; do
        stream=$("$weir" api DescribeStreams "DeviceId=$device" Status=on | first Id)
        [ -z "$stream" ] || return 0
        sleep 0.2
    done
    return 1
}
stream=
add_camera || echo "the simulated camera does not play: see what was said above" >&2

cat <<TEXT

  The demo stream plays here:
    ffplay rtmp://$rtmp/demo/stream
    ffplay http://$http/demo/stream.flv
    vlc    http://$http/demo/stream.m3u8
TEXT
if [ -n "$stream" ]; then
    cat <<TEXT
  The simulated camera plays here, for a day:
    ffplay $("$weir" url --expire 86400 "$stream" rtmp)
    ffplay $("$weir" url --expire 86400 "$stream" flv)
    vlc    $("$weir" url --expire 86400 "$stream" hls)
TEXT
fi
cat <<TEXT
  Push your own beside it:
    ffmpeg -re -i FILE -c copy -f flv rtmp://$rtmp/live/NAME
  Call the API (reference: http://$http/reference):
    $weir api DescribeGroups
  Ctrl-C ends the server, the demo stream and the camera.

TEXT
wait "$server"
