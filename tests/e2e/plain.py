"""A client written from the interface document alone: standard library, Signature 1.0, GET and POST.

    python3 plain.py http://127.0.0.1:8080/ KEY_ID KEY_SECRET [AUTH_KEY]

It walks through the objects of the document in the order in which a user would make them and exits with 1 at the first
answer that is not what the document promises.
"""
import base64
import hashlib
import hmac
import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid


def percent_encode(text):
    return urllib.parse.quote(str(text), safe="-_.~")


class Client:
    def __init__(self, base, key_id, secret):
        self.base, self.key_id, self.secret = base, key_id, secret

    def call(self, action, method="GET", expect=200, **parameters):
        fields = {
            "Action": action,
            "Version": "2018-12-12",
            "AccessKeyId": self.key_id,
            "SignatureMethod": "HMAC-SHA1",
            "SignatureVersion": "1.0",
            "SignatureNonce": uuid.uuid4().hex,
            "Timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "Format": "json",
        }
        fields.update(parameters)
        query = "&".join(f"{percent_encode(k)}={percent_encode(fields[k])}" for k in sorted(fields))
        to_sign = f"{method}&{percent_encode('/')}&{percent_encode(query)}"
        digest = hmac.new((self.secret + "&").encode(), to_sign.encode(), hashlib.sha1).digest()
        query += "&Signature=" + percent_encode(base64.b64encode(digest).decode())
        if method == "GET":
            request = urllib.request.Request(self.base + "?" + query)
        else:
            request = urllib.request.Request(self.base, data=query.encode(), method="POST")
            request.add_header("Content-Type", "application/x-www-form-urlencoded")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                status, headers, body = answer.status, answer.headers, json.load(answer)
        except urllib.error.HTTPError as error:
            status, headers, body = error.code, error.headers, json.load(error)
        assert status == expect, f"{action}: {status} instead of {expect}: {body}"
        assert body["RequestId"] == headers["X-Request-Id"], f"{action}: no request id"
        if status != 200:
            for field in ("Status", "Code", "HostId", "Message", "Data"):
                assert field in body, f"{action}: the failure has no {field}: {body}"
        return body


def need(body, *fields):
    for field in fields:
        assert field in body, f"{field} is missing: {body}"
    return body


def main():
    base, key_id, secret = sys.argv[1:4]
    auth_key = sys.argv[4] if len(sys.argv) > 4 else None
    api = Client(base, key_id, secret)
    bucket = json.dumps({"AccessKeyId": "demo", "AccessKeySecret": "demo"})

    # 1 groups
    group = api.call("CreateGroup", Name="视频监控 *~+/", Region="cn-shanghai", InProtocol="rtmp", OutProtocol="rtmp,flv,hls", Description="描述", LazyPull="false")["Id"]
    shown = need(api.call("DescribeGroup", Id=group, IncludeStats="true"), "Id", "Name", "App", "InProtocol", "OutProtocol", "Enabled", "Status", "CreatedTime", "Stats", "PushRtmpBaseUrl")
    assert (shown["Name"], shown["App"], shown["Status"], shown["Enabled"]) == ("视频监控 *~+/", "live", "on", True), shown
    page = need(api.call("DescribeGroups", PageNum=1, PageSize=20, Name="", SortBy="createdTime", SortDirection="desc"), "PageSize", "PageNum", "PageCount", "TotalCount", "Groups")
    assert group in [g["Id"] for g in page["Groups"]], page
    assert api.call("ModifyGroup", method="POST", Id=group, Name="renamed")["Id"] == group
    assert api.call("DescribeGroup", Id=group)["Name"] == "renamed"

    # 2 push URLs
    one = need(api.call("CreateRtmpGroupStreamurl", Id=group, Name="test", AccessInfo=bucket), "Id", "PushUrl")
    two = api.call("CreateRtmpGroupStreamurls", method="POST", Id=group, Name=json.dumps(["45645", "4454"]), AccessInfo=bucket)["Results"]
    assert len(two) == 2 and all(r["Id"] == group and r["PushUrl"].startswith("rtmp://") for r in two), two
    stream = one["PushUrl"].split("?")[0].rsplit("/", 1)[1]

    # 3 streams
    listed = need(api.call("DescribeStreams", GroupId=group), "PageSize", "PageNum", "PageCount", "TotalCount", "Streams")
    assert listed["TotalCount"] == 3 and stream in [s["Id"] for s in listed["Streams"]], listed
    shown = need(api.call("DescribeStream", Id=stream), "Id", "Name", "App", "Protocol", "GroupId", "Enabled", "Status", "CreatedTime", "PushUrl")
    assert (shown["Name"], shown["Status"], shown["PushUrl"]) == ("test", "off", one["PushUrl"]), shown
    assert api.call("ModifyStream", Id=stream, GroupId=group, Name="门口")["Id"] == stream
    assert api.call("DescribeStream", Id=stream)["Name"] == "门口"
    assert api.call("ForbidVsStream", Id=stream)["Id"] == stream
    assert api.call("DescribeStream", Id=stream)["Enabled"] is False
    assert api.call("ResumeVsStream", Id=stream)["Id"] == stream
    assert api.call("DescribeStream", Id=stream)["Enabled"] is True
    assert api.call("ScreenShowStreams")["TotalCount"] >= 0
    if auth_key:
        for protocol, ending in (("rtmp", ""), ("flv", ".flv"), ("hls", ".m3u8")):
            url = need(api.call("DescribeStreamURL", Id=stream, OutProtocol=protocol, AuthKey=auth_key, Expire=600), "Url", "ExpireTime")
            path = urllib.parse.urlsplit(url["Url"]).path
            assert path == f"/live/{stream}{ending}" and "auth_key=" in url["Url"], url
            exp, rand, uid, md5 = url["Url"].split("auth_key=")[1].split("-")
            assert hashlib.md5(f"{path}-{exp}-{rand}-{uid}-{auth_key}".encode()).hexdigest() == md5, url
            assert int(exp) == url["ExpireTime"], url
    assert api.call("DescribeStreamURL", expect=400, Id=stream, OutProtocol="rtmp", AuthKey="not-the-servers-key")["Code"] == "InvalidParameter"

    # 4 templates
    template = api.call("CreateTemplate", Name="录制模板", Type="record", Region="cn-shanghai", oNestBucket="bucketname", oNestEndpoint="http://127.0.0.1:9000",
                        Interval=3600, FileFormat="mp4,hls", Mp4="{StreamName}/{EscapedStartTime}_{EscapedEndTime}", Expired=7)["Id"]
    shown = need(api.call("DescribeTemplate", ID=template), "Id", "Name", "Type", "oNestBucket", "oNestEndpoint", "Interval", "FileFormat", "Mp4", "CreatedTime", "Expired")
    assert (shown["Interval"], shown["Expired"], shown["FileFormat"]) == (3600, 7, "mp4,hls"), shown
    bound = api.call("BindTemplate", TemplateId=template, TemplateType="record", InstanceId=group, InstanceType="group", ApplyAll="true", Replace="false")
    assert (bound["TemplateId"], bound["InstanceId"], bound["TemplateType"]) == (template, group, "record"), bound
    assert api.call("DescribeTemplates", InstanceId=group)["TotalCount"] == 1
    api.call("DeleteTemplate", expect=409, Id=template)
    both = api.call("BatchUnbindTemplate", TemplateId=template, TemplateType="record", InstanceId=group, InstanceType="group")
    assert both["Results"] == both["Bindings"] and "Error" not in both["Results"][0], both
    api.call("ModifyTemplate", Id=template, Name="改名")
    assert api.call("DescribeTemplate", Id=template)["Name"] == "改名"

    # 5 devices
    gb = need(api.call("CreateGroup", Name="国标", Region="cn-shanghai", InProtocol="gb28181", OutProtocol="flv"), "Id", "GbId", "GbIp", "GbPort")
    assert len(gb["GbId"]) == 20 and isinstance(gb["GbPort"], int), gb
    device = api.call("CreateDevice", Name="路口", GroupId=gb["Id"], Type="ipc", GbId="34020000001320000001", Username="admin", Password="12345678")["Id"]
    shown = need(api.call("DescribeDevice", Id=device, IncludeStats="true"), "Id", "Name", "GroupId", "Type", "Status", "GbId", "AutoStart", "Enabled", "CreatedTime", "Stats")
    assert (shown["Status"], shown["GbId"]) == ("new", "34020000001320000001"), shown
    api.call("CreateDevice", expect=409, Name="again", GroupId=gb["Id"], Type="ipc", GbId="34020000001320000001", Username="admin", Password="12345678")
    assert api.call("DescribeDevices", GroupId=gb["Id"])["TotalCount"] == 1
    assert api.call("ModifyDevice", Id=device, Name="徐家汇路口")["Id"] == device
    need(api.call("DescribeDeviceChannels", Id=device), "Channels", "TotalCount")
    results = api.call("BatchDeleteDevices", Id=f"{device},404")["Results"]
    assert [("Error" in r) for r in results] == [False, True], results

    # 6 refusals
    assert api.call("DescribeGroup", expect=404, Id="1")["Code"] == "ResourceNotFound.Group"
    assert "Name" in api.call("CreateGroup", expect=400, InProtocol="rtmp", OutProtocol="flv")["Message"]
    assert api.call("DescribeGroups", expect=400, PageSize=101)["Code"] == "InvalidParameter"
    assert api.call("NoSuchAction", expect=404)["Code"] == "InvalidApi.NotFound"
    wrong = Client(base, key_id, secret + "x").call("DescribeGroups", expect=400)
    assert wrong["Code"] == "SignatureDoesNotMatch" and "server string to sign is:" in wrong["Message"], wrong
    assert Client(base, "nobody", secret).call("DescribeGroups", expect=404)["Code"] == "InvalidAccessKeyId.NotFound"

    # 7 away with it
    for one in (group, gb["Id"]):
        assert api.call("DeleteGroup", expect=409, Id=one)["Code"] == "IncorrectStatus.Group"
        api.call("HaltGroup", Id=one)
        assert api.call("DescribeGroup", Id=one)["Status"] == "off"
        api.call("DeleteGroup", Id=one)
        api.call("DescribeGroup", expect=404, Id=one)
    api.call("DeleteTemplate", Id=template)
    print("plain: ok")


if __name__ == "__main__":
    main()
