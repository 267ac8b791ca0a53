package cli

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// printable escapes what a terminal would act on or not show, and keeps tabs and line ends. What is told of
// pools comes from users and workers, who must not steer the terminal of the one who looks.
func printable(text string) string {
	var b strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		char := text[:size]
		if r != '\t' && r != '\n' && (!unicode.IsPrint(r) || r == utf8.RuneError && size == 1) {
			char = strings.Trim(strconv.Quote(char), `"`)
		}
		b.WriteString(char)
		text = text[size:]
	}
	return b.String()
}
