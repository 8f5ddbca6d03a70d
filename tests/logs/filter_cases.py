"""Filter patterns and what they say to messages: (verdict, pattern, message). Sources: AWS's filter pattern pages,
whose examples these are where marked [D], and the health records of facts/hyperpod.md §4.5 [H]."""

IP = (
    '{"eventType":"UpdateTrail","sourceIPAddress":"111.111.111.111","arrayKey":["value","another value"],'
    '"objectList":[{"name":"a","id":1},{"name":"b","id":2}],"SomeObject":null,"ThisFlag":true}'
)
USER = (
    '{"user":{"id":1,"email":"John.Stiles@example.com"},"users":[{"id":2,"email":"John.Doe@example.com"},'
    '{"id":3,"email":"Jane.Doe@example.com"}],"actions":["GET","PUT","DELETE"],"coordinates":[[0,1,2],[4,5,6],[7,8,9]]}'
)
HEALTH = (
    '{"level":"info","msg":"NPD caught event: %v","details: ":{"severity":"warn","reason":"XidHardwareFailure"},'
    '"condition: ":"XID Error","data: ":{"ErrNum":79},"HealthMonitoringAgentDetectionEvent":"HealthEvent"}'
)
NUMBERS = (
    '{"latency":512.5,"numbers":[7e3],"errorCode":400,"code":"400","flag":false,"deep":{"a-b_c":[[1,[2]]]},'
    '"big":12345678901234567890}'
)

ACCEPTS, REJECTS = "accepts", "rejects"

CASES = [
    # words
    (ACCEPTS, "", "anything"),
    (ACCEPTS, "   ", ""),
    (ACCEPTS, "ERROR", "[ERROR] A fatal exception has occurred"),  # [D]
    (ACCEPTS, "ERROR", "Exiting with ERRORCODE: -1"),  # [D]
    (REJECTS, "ERROR", "error"),
    (REJECTS, "ERROR", ""),
    (ACCEPTS, "ERROR Exception", "[ERROR] Caught IllegalArgumentException"),  # [D]
    (REJECTS, "ERROR Exception", "[ERROR] caught"),
    (ACCEPTS, "Exception ERROR", "ERROR Exception"),
    (ACCEPTS, "Failed to process the request", "[WARN] Failed to process the request"),  # [D]
    (REJECTS, "ERROR - Exiting", "Exiting with ERRORCODE: -1"),  # [D]
    (REJECTS, "ERROR -Exiting", "Exiting with ERRORCODE: -1"),
    (ACCEPTS, "ERROR -Exiting", "ERROR"),
    (ACCEPTS, "-ERROR", "all is well"),
    (REJECTS, "-ERROR", "ERROR"),
    (REJECTS, "-a -b", "xb"),
    (ACCEPTS, "?ERROR ?WARN", "ERROR message"),  # [D]
    (ACCEPTS, "?ERROR ?WARN", "WARN message"),  # [D]
    (REJECTS, "?ERROR ?WARN", "INFO message"),
    (REJECTS, "ERROR WARN", "WARN message"),  # [D]
    (REJECTS, "ERROR -WARN", "ERROR WARN message"),  # [D]
    (ACCEPTS, "ERROR ?WARN", "ERROR only"),
    (REJECTS, "ERROR ?WARN", "WARN only"),
    (ACCEPTS, "snake_case", "a snake_case_name"),
    (ACCEPTS, "größe 42", "größe: 42"),
    (ACCEPTS, '"INTERNAL SERVER ERROR"', "500 INTERNAL SERVER ERROR!"),
    (REJECTS, '"INTERNAL SERVER ERROR"', "INTERNAL ERROR"),
    (ACCEPTS, '"Xid (PCI"', "NVRM: Xid (PCI:0000:b9:00): 79"),  # [H]
    (ACCEPTS, '"Xid (PCI" -"pid=0"', "NVRM: Xid (PCI:0000:b9:00): 79"),
    (REJECTS, '-"Xid (PCI"', "NVRM: Xid (PCI:0000:b9:00): 79"),
    (ACCEPTS, '?"a b" ?"c d"', "xc dx"),
    (ACCEPTS, r'"say \"hi\""', 'say "hi"'),
    (ACCEPTS, r'"C:\\dir"', r"C:\dir"),
    (ACCEPTS, r'"C:\dir"', r"C:\dir"),
    (REJECTS, '" a "', "a"),
    # regular expressions
    (ACCEPTS, "%AUTHORIZED%", "[ERROR 401] UNAUTHORIZED REQUEST"),  # [D]
    (REJECTS, "%AUTHORIZED%", "authorized"),
    (ACCEPTS, "%^[hc]at%", "hat"),  # [D]
    (REJECTS, "%^[hc]at%", "a hat"),
    (ACCEPTS, "%[hc]at$%", "the cat"),  # [D]
    (REJECTS, "%[hc]at$%", "cats"),
    (REJECTS, "%cat$%", "cat\n"),
    (ACCEPTS, "%colou?r%", "color"),  # [D]
    (ACCEPTS, "%colou?r%", "colour"),  # [D]
    (REJECTS, "%colou?r%", "colouur"),
    (ACCEPTS, "%[abcx-z]%", "1y1"),  # [D]
    (REJECTS, "%[abcx-z]%", "dw"),
    (ACCEPTS, "%^a{3,5}$%", "aaaa"),  # [D]
    (REJECTS, "%^a{3,5}$%", "aa"),
    (REJECTS, "%^a{3,5}$%", "aaaaaa"),
    (ACCEPTS, "%^a{2}$%", "aa"),
    (ACCEPTS, "%^a{2,}$%", "aaaaa"),
    (REJECTS, "%^a{2,}$%", "a"),
    (ACCEPTS, "%gra|grey%", "gra"),  # [D]
    (ACCEPTS, "%gray|grey%", "grey"),
    (REJECTS, "%gray|grey%", "gr"),
    (ACCEPTS, "%^a|b$%", "xb"),
    (REJECTS, "%^a|b$%", "xa"),
    (ACCEPTS, r"%10\.10\.0\.1%", "to 10.10.0.1"),  # [D]
    (REJECTS, r"%10\.10\.0\.1%", "10x10x0x1"),
    (ACCEPTS, r"%\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}%", "from 127.0.0.1:80"),  # [D]
    (ACCEPTS, "%[Ee]rror|[Ff]ail%", "It Failed"),  # [D]
    (ACCEPTS, r"%Xid.*:\s79%", "NVRM: Xid (PCI:0000:b9:00): 79, pid=1"),
    (REJECTS, r"%Xid.*:\s79,\sx%", "NVRM: Xid (PCI:0000:b9:00): 79, pid=1"),
    (ACCEPTS, r"%\x28PCI%", "Xid (PCI"),
    (ACCEPTS, r"%[\x28\x29]x%", ")x"),
    (ACCEPTS, r"%[^\d\s]%", "1 a"),
    (REJECTS, r"%[^\d\s]%", "1 2"),
    (ACCEPTS, r"%^\w+\W\S*$%", "ab;cd"),
    (ACCEPTS, r"%[a\-c]z%", "-z"),
    (REJECTS, r"%[a\-c]z%", "bz"),
    (ACCEPTS, "%a.c%", "aöc"),
    (ACCEPTS, "%a.*c%", "aööc"),
    (REJECTS, "%^.$%", "ab"),
    (ACCEPTS, "ERROR %5\\d\\d%", "ERROR 503"),
    (REJECTS, "ERROR -%5\\d\\d%", "ERROR 503"),
    # fields
    (ACCEPTS, '{ $.eventType = "UpdateTrail" }', IP),  # [D]
    (ACCEPTS, '{$.eventType="UpdateTrail"}', IP),
    (ACCEPTS, "{ $.eventType = UpdateTrail }", IP),
    (REJECTS, '{ $.eventType != "UpdateTrail" }', IP),
    (ACCEPTS, "{ $.sourceIPAddress != 123.123.* }", IP),  # [D]
    (REJECTS, "{ $.sourceIPAddress = 123.123.* }", IP),
    (ACCEPTS, "{ $.sourceIPAddress = 111.111.* }", IP),
    (ACCEPTS, '{ $.arrayKey[0] = "value" }', IP),  # [D]
    (REJECTS, '{ $.arrayKey[1] = "value" }', IP),
    (REJECTS, '{ $.arrayKey[2] = "value" }', IP),
    (REJECTS, '{ $.eventType[0] = "U" }', IP),
    (ACCEPTS, "{ $.objectList[1].id = 2 }", IP),  # [D]
    (REJECTS, "{ $.objectList[1].id = 1 }", IP),
    (ACCEPTS, "{ $.SomeObject IS NULL }", IP),  # [D]
    (REJECTS, "{ $.ThisFlag IS NULL }", IP),
    (REJECTS, "{ $.SomeOtherObject IS NULL }", IP),
    (ACCEPTS, "{ $.SomeOtherObject NOT EXISTS }", IP),  # [D]
    (REJECTS, "{ $.SomeObject NOT EXISTS }", IP),
    (ACCEPTS, "{ $.ThisFlag IS TRUE }", IP),  # [D]
    (REJECTS, "{ $.ThisFlag IS FALSE }", IP),
    (ACCEPTS, "{ $.flag IS FALSE }", NUMBERS),
    (REJECTS, "{ $.flag = false }", NUMBERS),
    (ACCEPTS, "{ $.objectList[*].name = b }", IP),  # [D]
    (REJECTS, "{ $.objectList[*].name = c }", IP),
    (ACCEPTS, r"{ $.* = %111\.111\.111\.1[0-9]{1,2}% }", IP),  # [D]
    (REJECTS, r"{ $.* = %112\.% }", IP),
    (ACCEPTS, '{ ($.user.id = 1) && ($.users[0].email = "John.Doe@example.com") }', USER),  # [D]
    (REJECTS, '{ ($.user.id = 2 && $.users[0].email = "nonmatch") || $.actions[2] = "GET" }', USER),  # [D]
    (
        ACCEPTS,
        '{ $.user.email = "John.Stiles@example.com" || $.coordinates[0][1] = nonmatch && $.actions[2] = nomatch }',
        USER,
    ),  # [D]
    (
        REJECTS,
        '{ ($.user.email = "John.Stiles@example.com" || $.coordinates[0][1] = nonmatch) && $.actions[2] = nomatch }',
        USER,
    ),  # [D]
    (REJECTS, "{ $.users = 1 }", '{"users":[1,2,3]}'),  # [D]
    (REJECTS, "{ $.users != 1 }", '{"users":[1,2,3]}'),  # [D]
    (REJECTS, "{ $.missing != 1 }", USER),
    (ACCEPTS, "{ $.coordinates[0][1] = 1 }", USER),
    (ACCEPTS, "{ $.latency >= 500 }", NUMBERS),  # [D]
    (ACCEPTS, "{ $.numbers[0] < 10e3 }", NUMBERS),  # [D]
    (REJECTS, "{ $.numbers[0] < 10e-3 }", NUMBERS),  # [D]
    (REJECTS, "{ $.latency <= 55.5 }", NUMBERS),  # [D]
    (ACCEPTS, "{ $.errorCode = 400 }", NUMBERS),  # [D]
    (ACCEPTS, "{ $.errorCode = 400.0 }", NUMBERS),
    (ACCEPTS, "{ $.errorCode = +400 }", NUMBERS),
    (ACCEPTS, "{ $.errorCode != 500 }", NUMBERS),  # [D]
    (REJECTS, "{ $.latency > +1000 }", NUMBERS),  # [D]
    (ACCEPTS, "{ $.latency > -1 }", NUMBERS),
    (ACCEPTS, "{ $.code = 400 }", NUMBERS),
    (REJECTS, "{ $.code > 1 }", NUMBERS),
    (ACCEPTS, "{ $.errorCode = 4* }", NUMBERS),
    (REJECTS, "{ $.errorCode = 5* }", NUMBERS),
    (ACCEPTS, "{ $.latency = * }", NUMBERS),
    (ACCEPTS, '{ $.latency = "*" }', NUMBERS),
    (REJECTS, "{ $.deep = * }", NUMBERS),
    (REJECTS, "{ $.absent = * }", NUMBERS),
    (ACCEPTS, "{ $.deep.a-b_c[0][1][0] = 2 }", NUMBERS),
    (ACCEPTS, "{ $.big > 12345678901234567000 }", NUMBERS),
    (ACCEPTS, "{ $.name = *Event }", '{"name":"PutEvent"}'),  # [D]
    (ACCEPTS, "{ $.name = Event* }", '{"name":"EventId"}'),  # [D]
    (ACCEPTS, "{ $.name = Ev*ent }", '{"name":"Ev*ent"}'),  # [D]
    (REJECTS, "{ $.name = Ev*ent }", '{"name":"Event"}'),  # [D]
    (ACCEPTS, "{ $.name = *ven* }", '{"name":"Event"}'),
    (ACCEPTS, r'{ $.name = "a \"b\" \\ c" }', r'{"name":"a \"b\" \\ c"}'),
    (ACCEPTS, '{ $.name = "" }', '{"name":""}'),
    (
        ACCEPTS,
        '{ $.detail-type = "SageMaker HyperPod Cluster State Change" }',
        '{"detail-type":"SageMaker HyperPod Cluster State Change"}',
    ),
    (ACCEPTS, '{ $.HealthMonitoringAgentDetectionEvent = "HealthEvent" }', HEALTH),  # [H]
    (ACCEPTS, '{ $.["details: "].reason = "Xid*" }', HEALTH),  # [H]
    (ACCEPTS, "{ $['data: '].ErrNum = 79 }", HEALTH),  # [H]
    (REJECTS, '{ $.["data: "].ErrNum = 31 }', HEALTH),  # [H]
    (ACCEPTS, '{ $["condition: "] = %XID\\sErr% && $.level IS NULL || $.level = info }', HEALTH),
    (REJECTS, "{ $.level = info }", "level=info"),
    (REJECTS, "{ $.level = info }", 'INFO {"level":"info"}'),
    (REJECTS, "{ $.level = info }", '["level"]'),
    (REJECTS, "{ $.a NOT EXISTS }", "no json"),
    (ACCEPTS, "{ $[0] = 1 }", "[1]"),
]

REFUSED = [
    # (what the complaint holds, pattern)
    ("Invalid character(s) in term '-'", "request-id"),
    ("Invalid character(s) in term ':'", "?Status: timeout"),
    ("Invalid character(s) in term '('", "Xid (PCI"),
    ("Invalid character(s) in term '*'", "SUCCESS*"),
    ("Invalid character(s) in term '@'", "email@example"),
    ("Invalid character(s) in term '`'", "`x"),
    ("Invalid character(s) in term '-'", "ERROR -"),
    ("Invalid character(s) in term '\"\"'", '""'),
    ("Invalid filter pattern", '"open'),
    ("If a filter pattern starts with '{' it must end with '}'", "{ $.a = 1"),
    ("If a filter pattern starts with '{' it must end with '}'", "{"),
    ("space-delimited", "[ip, user, status = 4*]"),
    ("Invalid filter pattern", "{}"),
    ("Invalid filter pattern", "{ a = 1 }"),
    ("Invalid filter pattern", "{ $.a }"),
    ("Invalid filter pattern", "{ $.a = }"),
    ("Invalid filter pattern", "{ $.a > x }"),
    ("Invalid filter pattern", '{ $.a > "1" }'),
    ("Invalid filter pattern", "{ ($.a = 1 }"),
    ("Invalid filter pattern", "{ $.a = 1 && }"),
    ("Invalid character(s) in term ')'", "{ $.a = 1 ) }"),
    ("Invalid character(s) in term '$.\"'", '{ $."sc-status" = 5* }'),
    ("Invalid filter pattern", "{ $.*[*] = a }"),
    ("Invalid filter pattern", "{ $.a[*] = 1 || $.b[*] = 1 || $.c[*] = 1 || $.d[*] = 1 }"),
    ("Invalid filter pattern", "{ $.a = %x% || $.b = %y% || $.c = %z% }"),
    ("Invalid filter pattern", "{ " + "(" * 400 + "$.a = 1" + ")" * 400 + " }"),
    ("Invalid filter pattern", '{ $.["a = 1 }'),
    ("Invalid character(s) in term ','", "{ $.a = 1, $.b = 2 }"),
    ("Invalid character(s) in term '('", "%(a)%"),
    ("Invalid character(s) in term '!'", "%something!%"),
    ("Invalid character(s) in term 'ä'", "%ä%"),
    ("Invalid filter pattern", "%%"),
    ("Invalid filter pattern", "%abc"),
    ("Invalid filter pattern", "%a^b%"),
    ("Invalid filter pattern", "%a$b%"),
    ("Invalid filter pattern", "%[]%"),
    ("Invalid filter pattern", "%[z-a]%"),
    ("Invalid filter pattern", "%a{3,1}%"),
    ("Invalid filter pattern", "%a{9999}%"),
    ("Invalid character(s) in term '*'", "%*%"),
    ("Invalid character(s) in term '+'", "%a*+%"),
    ("Invalid character(s) in term '\\q'", r"%\q%"),
]
