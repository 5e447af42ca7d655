console.log('tsbuild')
