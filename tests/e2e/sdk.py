"""The public SDKs of the cloud product that the API follows, unchanged, against this server.

    python3 sdk.py http://127.0.0.1:8080/ KEY_ID KEY_SECRET [AUTH_KEY]

Needs from PyPI: aliyun-python-sdk-core, aliyun-python-sdk-vs, alibabacloud_vs20181212. The two families sign in different
ways (Signature 1.0 with HMAC-SHA1, ACS3-HMAC-SHA256); each walks through groups, push URLs, streams and templates.
"""
import json
import sys

from alibabacloud_tea_openapi import models as open_api
from alibabacloud_tea_util import models as util
from alibabacloud_vs20181212 import models as vs
from alibabacloud_vs20181212.client import Client as Vs
from aliyunsdkcore.acs_exception.exceptions import ServerException
from aliyunsdkcore.client import AcsClient
from aliyunsdkcore.request import CommonRequest
from aliyunsdkvs.request.v20181212.BindTemplateRequest import BindTemplateRequest
from aliyunsdkvs.request.v20181212.CreateGroupRequest import CreateGroupRequest
from aliyunsdkvs.request.v20181212.CreateTemplateRequest import CreateTemplateRequest
from aliyunsdkvs.request.v20181212.DeleteGroupRequest import DeleteGroupRequest
from aliyunsdkvs.request.v20181212.DeleteTemplateRequest import DeleteTemplateRequest
from aliyunsdkvs.request.v20181212.DescribeGroupsRequest import DescribeGroupsRequest
from aliyunsdkvs.request.v20181212.DescribeStreamRequest import DescribeStreamRequest
from aliyunsdkvs.request.v20181212.DescribeStreamsRequest import DescribeStreamsRequest
from aliyunsdkvs.request.v20181212.DescribeTemplatesRequest import DescribeTemplatesRequest
from aliyunsdkvs.request.v20181212.ForbidVsStreamRequest import ForbidVsStreamRequest
from aliyunsdkvs.request.v20181212.ModifyGroupRequest import ModifyGroupRequest
from aliyunsdkvs.request.v20181212.ModifyTemplateRequest import ModifyTemplateRequest
from aliyunsdkvs.request.v20181212.ResumeVsStreamRequest import ResumeVsStreamRequest
from aliyunsdkvs.request.v20181212.UnbindTemplateRequest import UnbindTemplateRequest

BUCKET = json.dumps({"AccessKeyId": "demo", "AccessKeySecret": "demo"})


def stream_of(push_url):
    return push_url.split("?")[0].rsplit("/", 1)[1]


def classic(endpoint, key_id, secret):
    client = AcsClient(key_id, secret, "cn-shanghai")

    def ask(request):
        request.set_endpoint(endpoint)
        request.set_protocol_type("http")
        request.set_accept_format("json")
        return json.loads(client.do_action_with_exception(request))

    def call(kind, **fields):
        request = kind()
        for name, value in fields.items():
            getattr(request, "set_" + name)(value)
        return ask(request)

    def common(action, method, **fields):
        request = CommonRequest()
        request.set_domain(endpoint)
        request.set_version("2018-12-12")
        request.set_action_name(action)
        request.set_method(method)
        request.set_protocol_type("http")
        for name, value in fields.items():
            if method == "POST":
                request.add_body_params(name, value)
            else:
                request.add_query_param(name, value)
        return json.loads(client.do_action_with_exception(request))

    group = call(CreateGroupRequest, Name="视频 监控*~", InProtocol="rtmp", OutProtocol="flv,rtmp", Region="cn-shanghai")["Id"]
    call(ModifyGroupRequest, Id=group, Description="+ & = %")
    rows = call(DescribeGroupsRequest, PageNum=1, PageSize=100, SortBy="createdTime", SortDirection="desc")["Groups"]
    assert [g["Description"] for g in rows if g["Id"] == group] == ["+ & = %"], rows

    one = common("CreateRtmpGroupStreamurl", "GET", Id=group, Name="门口", AccessInfo=BUCKET)
    many = common("CreateRtmpGroupStreamurls", "POST", Id=group, Name='["a","b"]', AccessInfo=BUCKET)["Results"]
    stream = stream_of(one["PushUrl"])
    assert len(many) == 2
    assert call(DescribeStreamsRequest, GroupId=group)["TotalCount"] == 3
    shown = call(DescribeStreamRequest, Id=stream)
    assert (shown["Name"], shown["Enabled"]) == ("门口", True), shown

    named = dict(AppName="live", StreamName=stream, DomainName="127.0.0.1", LiveStreamType="publisher")
    call(ForbidVsStreamRequest, **named)
    assert call(DescribeStreamRequest, Id=stream)["Enabled"] is False
    call(ResumeVsStreamRequest, **named)
    assert call(DescribeStreamRequest, Id=stream)["Enabled"] is True

    template = call(CreateTemplateRequest, Name="r", Type="record", Region="cn-shanghai", OssBucket="bucket", OssEndpoint="http://127.0.0.1:9000", Interval=60, FileFormat="mp4",
                    Mp4="a/{StreamName}/{EscapedStartTime}_{EscapedEndTime}")["Id"]
    call(BindTemplateRequest, TemplateId=template, InstanceId=group, InstanceType="group")
    call(ModifyTemplateRequest, Id=template, Name="renamed", Interval=120)
    rows = call(DescribeTemplatesRequest, InstanceId=group)["Templates"]
    assert [(t["Id"], t["Name"], t["Interval"], t["OssBucket"]) for t in rows] == [(template, "renamed", 120, "bucket")], rows
    try:
        call(DeleteTemplateRequest, Id=template)
        raise AssertionError("a bound template was deleted")
    except ServerException as refused:
        assert refused.get_http_status() == 409, refused
    call(UnbindTemplateRequest, TemplateId=template, InstanceId=group, InstanceType="group")
    call(DeleteTemplateRequest, Id=template)
    common("HaltGroup", "POST", Id=group)
    call(DeleteGroupRequest, Id=group)

    wrong = AcsClient(key_id, secret + "x", "cn-shanghai")
    request = DescribeGroupsRequest()
    request.set_endpoint(endpoint)
    request.set_protocol_type("http")
    try:
        wrong.do_action_with_exception(request)
        raise AssertionError("a wrong secret was taken")
    except ServerException as refused:
        # The SDK compares our string to sign with its own and says so: the secret is at fault, not the string.
        assert refused.get_error_code() in ("InvalidAccessKeySecret", "SignatureDoesNotMatch"), refused
        print("sdk: a wrong secret is called", refused.get_error_code())


def current(endpoint, key_id, secret, auth_key):
    client = Vs(open_api.Config(access_key_id=key_id, access_key_secret=secret, endpoint=endpoint, protocol="http"))

    def extra(action, **fields):
        params = open_api.Params(action=action, version="2018-12-12", protocol="HTTP", pathname="/", method="POST", auth_type="AK", style="RPC", req_body_type="formData", body_type="json")
        return client.call_api(params, open_api.OpenApiRequest(body=fields), util.RuntimeOptions())["body"]

    group = client.create_group(vs.CreateGroupRequest(name="监控 a", in_protocol="rtmp", out_protocol="flv,hls", region="cn-shanghai")).body.id
    shown = client.describe_group(vs.DescribeGroupRequest(id=group, include_stats=True)).body
    assert (shown.name, shown.enabled, shown.stats.device_num) == ("监控 a", True, 0), shown
    client.modify_group(vs.ModifyGroupRequest(id=group, name="监控 b", lazy_pull=True))
    rows = client.describe_groups(vs.DescribeGroupsRequest(page_size=100, id=group)).body
    assert rows.total_count == 1 and rows.groups[0].name == "监控 b", rows

    urls = extra("CreateRtmpGroupStreamurls", Id=group, Name='["x","y"]', AccessInfo=BUCKET)["Results"]
    stream = stream_of(urls[0]["PushUrl"])
    listed = client.describe_streams(vs.DescribeStreamsRequest(group_id=group, page_size=10)).body
    assert listed.total_count == 2 and listed.streams[0].app == "live", listed
    assert client.describe_stream(vs.DescribeStreamRequest(id=stream)).body.name == "x"
    named = dict(app_name="live", stream_name=stream, domain_name="127.0.0.1", live_stream_type="publisher")
    client.forbid_vs_stream(vs.ForbidVsStreamRequest(**named))
    assert client.describe_stream(vs.DescribeStreamRequest(id=stream)).body.enabled is False
    client.resume_vs_stream(vs.ResumeVsStreamRequest(**named))
    assert client.describe_stream(vs.DescribeStreamRequest(id=stream)).body.enabled is True
    if auth_key:
        url = client.describe_stream_url(vs.DescribeStreamURLRequest(id=stream, out_protocol="flv", auth_key=auth_key, expire=60)).body
        assert f"/live/{stream}.flv?auth_key=" in url.url and url.expire_time > 0, url

    rules = [{"Name": "sd", "VideoCodec": "h264", "VideoBitrate": 800, "Fps": 25, "Gop": 50, "Height": 720, "Width": 1280}]
    template = client.create_template(vs.CreateTemplateRequest(name="t", type="transcode", trans_configs_json=json.dumps(rules))).body.id
    bound = client.batch_bind_template(vs.BatchBindTemplateRequest(template_id=template, instance_id=stream, instance_type="stream")).body
    assert bound.bindings[0].template_id == template and not bound.bindings[0].error, bound
    shown = client.describe_template(vs.DescribeTemplateRequest(id=template)).body
    assert (shown.trans_configs[0].name, shown.trans_configs[0].fps) == ("sd", 25), shown
    rules[0].update(Id=shown.trans_configs[0].id, Fps=15)
    client.modify_template(vs.ModifyTemplateRequest(id=template, trans_configs_json=json.dumps(rules)))
    assert client.describe_template(vs.DescribeTemplateRequest(id=template)).body.trans_configs[0].fps == 15
    client.batch_unbind_template(vs.BatchUnbindTemplateRequest(template_id=template, instance_id=stream, instance_type="stream"))
    client.delete_template(vs.DeleteTemplateRequest(id=template))

    gb = client.create_group(vs.CreateGroupRequest(name="gb", in_protocol="gb28181", out_protocol="flv")).body
    assert len(gb.gb_id) == 20 and gb.gb_port > 0, gb
    device = client.create_device(vs.CreateDeviceRequest(group_id=gb.id, type="ipc", gb_id="34020000001320000009", name="d", username="admin", password="12345678")).body.id
    assert client.describe_device(vs.DescribeDeviceRequest(id=device, include_stats=True)).body.stats.channel_num >= 0
    assert client.describe_devices(vs.DescribeDevicesRequest(group_id=gb.id)).body.total_count == 1
    client.modify_device(vs.ModifyDeviceRequest(id=device, name="e"))
    client.delete_device(vs.DeleteDeviceRequest(id=device))
    for one in (group, gb.id):
        client.modify_group(vs.ModifyGroupRequest(id=one, enabled=False))
        client.delete_group(vs.DeleteGroupRequest(id=one))


def main():
    endpoint, key_id, secret = sys.argv[1:4]
    endpoint = endpoint.removeprefix("http://").rstrip("/")
    classic(endpoint, key_id, secret)
    current(endpoint, key_id, secret, sys.argv[4] if len(sys.argv) > 4 else None)
    print("sdk: ok")


if __name__ == "__main__":
    main()
