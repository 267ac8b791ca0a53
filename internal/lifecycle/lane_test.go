package lifecycle

import (
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

func TestEffectsBeginInTheOrderInWhichTheyWereAskedForAndABoundedNumberAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lane{limit: 2}
		var owner sync.WaitGroup
		var begun []int
		goOn := make([]chan struct{}, 5)
		for i := range goOn {
			goOn[i] = make(chan struct{})
			l.enter(&owner, "", func() {
				begun = append(begun, i)
				<-goOn[i]
			})
			synctest.Wait()
		}
		require.Equal(t, []int{0, 1}, begun)
		close(goOn[1])
		synctest.Wait()
		require.Equal(t, []int{0, 1, 2}, begun)
		close(goOn[0])
		synctest.Wait()
		require.Equal(t, []int{0, 1, 2, 3}, begun)
		for _, i := range []int{2, 3, 4} {
			close(goOn[i])
		}
		owner.Wait()
		require.Equal(t, []int{0, 1, 2, 3, 4}, begun)
		require.Zero(t, l.underWay)
	})
}
