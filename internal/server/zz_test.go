package server_test
import ("testing";"fmt";"time";"strings"
"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool")
func TestZZ(t *testing.T) {
	g := garbage()
	g["1MB ["] = strings.Repeat("[", 1<<20)
	g["1MB {a:"] = strings.Repeat("{\"a\":", 1<<20/5)
	g["1MB - "] = strings.Repeat("- ", 1<<19)
	g["1MB x"] = strings.Repeat("x", 1<<20)
	g["1MB ? "] = strings.Repeat("? ", 1<<19)
	g["1MB x:"] = strings.Repeat("x: ", 1<<20/3)
	g["1MB !"] = strings.Repeat("! ", 1<<19)
	g["1MB lines"] = strings.Repeat("x\n", 1<<19)
	g["1MB keys"] = func() string { var b strings.Builder; for i := 0; b.Len() < 1<<20; i++ { fmt.Fprintf(&b, "k%d: 1\n", i) }; return b.String() }()
	for n, b := range g {
		s := time.Now()
		_, err := pool.Decode([]byte(b))
		e := fmt.Sprint(err)
		fmt.Println(n, time.Since(s).Round(time.Millisecond), len(e), e[:min(len(e), 100)])
	}
}
