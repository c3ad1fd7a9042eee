package problem

import (
	"fmt"
	"strings"

	"buf.build/go/protovalidate"
)

// violations turns protovalidate's findings into ours: path as in the contract, and a text in both languages.
func violations(err *protovalidate.ValidationError) []Violation {
	vs := make([]Violation, 0, len(err.Violations))
	for _, v := range err.Violations {
		p := v.Proto
		text := p.GetMessage()
		if text == "" {
			text = "breaks rule " + p.GetRuleId()
		}
		vs = append(vs, Violation{
			Field: protovalidate.FieldPathString(p.GetField()), Description: text,
			DescriptionJa: japanese(v), Rule: p.GetRuleId(),
		})
	}
	return vs
}

// japaneseRules are the rules that our contracts use; %v is the value of the rule.
var japaneseRules = map[string]string{
	"required":           "必須項目です。値を入力してください。",
	"string.email":       "メールアドレスの形式で入力してください。",
	"string.email_empty": "メールアドレスを入力してください。",
	"string.uuid":        "UUID の形式で指定してください。",
	"string.uuid_empty":  "UUID を指定してください。",
	"string.uri":         "URL の形式で入力してください。",
	"string.hostname":    "ドメイン名の形式で入力してください。",
	"string.min_len":     "%v 文字以上で入力してください。",
	"string.max_len":     "%v 文字以内で入力してください。",
	"string.len":         "%v 文字で入力してください。",
	"string.pattern":     "形式が正しくありません。",
	"string.in":          "使える値は %v です。",
	"bytes.min_len":      "%v バイト以上で指定してください。",
	"bytes.max_len":      "%v バイト以内で指定してください。",
	"enum.defined_only":  "定義された値を指定してください。",
	"enum.not_in":        "値を選択してください。",
	"repeated.min_items": "%v 件以上指定してください。",
	"repeated.max_items": "%v 件以内で指定してください。",
	"repeated.unique":    "重複しないように指定してください。",
	"int32.gt":           "%v より大きい値を入力してください。",
	"int32.gte":          "%v 以上の値を入力してください。",
	"int32.lt":           "%v より小さい値を入力してください。",
	"int32.lte":          "%v 以下の値を入力してください。",
	"int64.gt":           "%v より大きい値を入力してください。",
	"int64.gte":          "%v 以上の値を入力してください。",
	"int64.lt":           "%v より小さい値を入力してください。",
	"int64.lte":          "%v 以下の値を入力してください。",
	"timestamp.gt_now":   "未来の日時を指定してください。",
	"timestamp.lt_now":   "過去の日時を指定してください。",
	"message.oneof":      "いずれか一つを指定してください。",
}

func japanese(v *protovalidate.Violation) string {
	text, ok := japaneseRules[v.Proto.GetRuleId()]
	takesValue := strings.Contains(text, "%v")
	switch {
	case !ok, takesValue && !v.RuleValue.IsValid():
		return "値が正しくありません。"
	case takesValue:
		return fmt.Sprintf(text, v.RuleValue.Interface())
	}
	return text
}
